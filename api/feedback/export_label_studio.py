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


def tasks(found: Iterable[Feedback], store: ObjectStore, tenant: str) -> Iterator[str]:
    """A JSON array, task by task."""
    head = "["
    for given in found:
        yield head + json.dumps(task(given, picture_url(given, store, tenant)), ensure_ascii=False)
        head = ",\n"
    yield "[]" if head == "[" else "]"


def task(given: Feedback, url: str | None) -> dict[str, Any]:
    """One task; `url` is a link to the picture, if there is any."""
    boxes = [region.box_px for region in given.regions]
    guess = [_choice("guess", given.label.zh), *_rectangles(given, boxes, given.label.zh)]
    right = given.correct.zh if given.correct else given.label.zh
    said = [_choice("said", right)]
    if given.box_px:
        said += _rectangles(given, [given.box_px], right)
    return {
        "data": {
            "image": url,
            "filename": given.image.filename,
            "sha256": given.image.sha256,
            "job": given.job,
            "index": given.index,
            "feedback": given.id,
            "kind": given.kind,
        },
        "predictions": [
            {"model_version": given.model, "score": given.label.score, "result": guess}
        ],
        "annotations": [{"result": said}],
    }


def _choice(name: str, label: str) -> dict[str, Any]:
    return {"id": name, **_NAMES, "value": {"choices": [label]}}


def _rectangles(
    given: Feedback, boxes: Sequence[tuple[int, int, int, int]], label: str
) -> list[dict[str, Any]]:
    return [
        {
            "id": f"box-{n}",
            **_BOXES,
            **_size(given.image),
            "value": {**_percent(given.image, box), "rectanglelabels": [label]},
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


def picture_url(given: Feedback, store: ObjectStore, tenant: str) -> str | None:
    """A link to the picture as it was sent, if it was kept; else where the job found it."""
    if given.image.sha256 is None:
        return given.address
    key = keys.input_key(tenant, given.image.sha256)
    return store.link(key).url if store.exists(key) else given.address
