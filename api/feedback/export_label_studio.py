"""Label Studio tasks: the model's label as prediction, the person's as annotation.

https://labelstud.io/guide/tasks: boxes are in percent of the picture's width and height.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from guanwu.wire.feedback import Feedback
from guanwu.wire.results import ImageFacts
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore

_NAMES = {"to_name": "image", "from_name": "label", "type": "choices"}
_BOXES = {"to_name": "image", "from_name": "region", "type": "rectanglelabels"}


def write_tasks(judgements: Iterable[Feedback], store: ObjectStore, tenant: str) -> Iterator[str]:
    """A JSON array, task by task."""
    head = "["
    for feedback in judgements:
        yield head + json.dumps(
            build_task(feedback, picture_url(feedback, store, tenant)), ensure_ascii=False
        )
        head = ",\n"
    yield "[]" if head == "[" else "]"


def build_task(feedback: Feedback, url: str | None) -> dict[str, Any]:
    """One task; `url` is a link to the picture, if there is any."""
    boxes = [region.box_px for region in feedback.regions]
    guess = [_choice("guess", feedback.label.zh), *_rectangles(feedback, boxes, feedback.label.zh)]
    right = feedback.correct.zh if feedback.correct else feedback.label.zh
    answer = [_choice("said", right)]
    if feedback.box_px:
        answer += _rectangles(feedback, [feedback.box_px], right)
    return {
        "data": {
            "image": url,
            "filename": feedback.image.filename,
            "sha256": feedback.image.sha256,
            "job": feedback.job,
            "index": feedback.index,
            "feedback": feedback.id,
            "kind": feedback.kind,
        },
        "predictions": [
            {"model_version": feedback.model, "score": feedback.label.score, "result": guess}
        ],
        "annotations": [{"result": answer}],
    }


def _choice(name: str, label: str) -> dict[str, Any]:
    return {"id": name, **_NAMES, "value": {"choices": [label]}}


def _rectangles(
    feedback: Feedback, boxes: Sequence[tuple[int, int, int, int]], label: str
) -> list[dict[str, Any]]:
    return [
        {
            "id": f"box-{n}",
            **_BOXES,
            **_size(feedback.image),
            "value": {**_percent(feedback.image, box), "rectanglelabels": [label]},
        }
        for n, box in enumerate(boxes)
    ]


def _size(image: ImageFacts) -> dict[str, int | None]:
    return {"original_width": image.width, "original_height": image.height, "image_rotation": 0}


def _percent(image: ImageFacts, box: tuple[int, int, int, int]) -> dict[str, float]:
    x0, y0, x1, y1 = box
    width, height = image.width or 1, image.height or 1
    return {
        "x": 100 * x0 / width,
        "y": 100 * y0 / height,
        "width": 100 * (x1 - x0) / width,
        "height": 100 * (y1 - y0) / height,
        "rotation": 0,
    }


def picture_url(feedback: Feedback, store: ObjectStore, tenant: str) -> str | None:
    """A link to the picture as it was sent, if it was kept; else where the job found it."""
    if feedback.image.sha256 is None:
        return feedback.address
    key = keys.input_key(tenant, feedback.image.sha256)
    return store.link(key).url if store.exists(key) else feedback.address
