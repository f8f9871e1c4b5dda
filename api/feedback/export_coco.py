"""Feedback as a COCO file of objects: the boxes that people drew, for trainers.

https://cocodataset.org/#format-data: boxes are x, y, width, height in pixels of the upright
picture. Only pictures with a box are in it: one without would say that nothing is to be seen.
Fields beside the format's own: `sha256`, `job`, `index`, `feedback`, `by`, `name_zh`, `name_en`,
`label_id`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from guanwu.wire.feedback import Feedback

SPOOL_BYTES = 8 * 2**20

LabelNames = tuple[str, str | None, int | None]
"""A label in Chinese and English, and its id in the label set."""


@dataclass
class _Numbers:
    """Ids from 1, in the order in which things are met."""

    images: dict[str, int] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    categories: dict[LabelNames, int] = field(default_factory=dict)
    annotations: int = 0


def write_document(
    judgements: Iterable[Feedback], url: Callable[[Feedback], str | None]
) -> Iterator[str]:
    """The file, piece by piece; annotations wait on disk until all pictures are named.

    `url` gives a link to a picture, if there is any.
    """
    numbers = _Numbers()
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES, "w+", encoding="utf-8") as annotations:
        yield '{"info": ' + _to_json({"description": "Guanwu: boxes of people's feedback"})
        yield ', "images": ['
        for feedback in judgements:
            if feedback.box_px is None or not (feedback.image.width and feedback.image.height):
                continue
            picture = feedback.image.sha256 or f"{feedback.job}/{feedback.index}"
            if picture not in numbers.images:
                yield (",\n" if numbers.images else "\n") + _image(
                    feedback, picture, numbers, url(feedback)
                )
            _annotate(annotations, feedback, numbers, image=numbers.images[picture])
        yield '],\n"annotations": ['
        yield from _lines(annotations)
    categories = [_category(name, number) for name, number in numbers.categories.items()]
    yield '],\n"categories": ' + _to_json(categories) + "}\n"


def _annotate(file: IO[str], feedback: Feedback, numbers: _Numbers, *, image: int) -> None:
    name = _label_of(feedback)
    category = numbers.categories.setdefault(name, len(numbers.categories) + 1)
    numbers.annotations += 1
    line = _annotation(feedback, numbers.annotations, image=image, category=category)
    file.write((",\n" if numbers.annotations > 1 else "\n") + _to_json(line))


def _lines(file: IO[str]) -> Iterator[str]:
    file.seek(0)
    yield from file


def _label_of(feedback: Feedback) -> LabelNames:
    """The label of the box: as the person corrected it, else as it was judged."""
    label = feedback.correct or feedback.label
    return label.zh, label.en, label.id


def _image(feedback: Feedback, picture: str, numbers: _Numbers, url: str | None) -> str:
    """A picture met for the first time; no two have one name."""
    numbers.images[picture] = len(numbers.images) + 1
    plain = picture.replace("/", "-")
    name = feedback.image.filename or plain
    while name in numbers.files:  # another may be called as this one would be now
        name = f"{plain}-{name}"
    numbers.files.add(name)
    return _to_json(
        {
            "id": numbers.images[picture],
            "width": feedback.image.width,
            "height": feedback.image.height,
            "file_name": name,
            "coco_url": url,
            "sha256": feedback.image.sha256,
            "job": feedback.job,
            "index": feedback.index,
        }
    )


def _annotation(feedback: Feedback, number: int, *, image: int, category: int) -> dict[str, Any]:
    assert feedback.box_px is not None
    x0, y0, x1, y1 = feedback.box_px
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "segmentation": [],
        "iscrowd": 0,
        "feedback": feedback.id,
        "by": feedback.by,
    }


def _category(name: LabelNames, number: int) -> dict[str, Any]:
    zh, en, label = name
    return {
        "id": number,
        "name": en or zh,
        "name_zh": zh,
        "name_en": en,
        "label_id": label,
        "supercategory": "",
    }


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
