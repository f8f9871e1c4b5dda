"""Boxes as a COCO file: what trainers count on."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from ulid import ULID

from api.feedback import export_coco
from guanwu.wire.feedback import Correct, Feedback
from guanwu.wire.results import ImageFacts, Label

LABELS = [("虎斑猫", "tabby", 281), ("火箭", "missile", 657)]


def said(
    number: int, *, box: tuple[int, int, int, int] | None, name: str | None = "a.jpg"
) -> Feedback:
    """Feedback on picture `number`, in whose place the label is, too."""
    zh, en, label = LABELS[number % 2]
    facts = ImageFacts(filename=name, sha256=f"{number:064d}", width=40, height=30)
    return Feedback(
        id=f"fbk_{ULID()}",
        job="job_1",
        index=number,
        image=facts,
        model="m",
        label=Label(rank=1, zh=zh, en=en, id=label, score=0.5, model="m"),
        kind="wrong_region" if box else "right",
        box_px=box,
        created_at=dt.datetime.now(dt.UTC),
    )


def written(*given: Feedback) -> dict[str, Any]:
    text = "".join(export_coco.write_document(given, lambda one: f"https://store/{one.index}"))
    found: dict[str, Any] = json.loads(text)
    return found


def test_every_reference_is_met_and_every_box_is_inside_its_picture() -> None:
    given = [said(n % 7, box=(n, 2, n + 5, 20) if n % 3 else None) for n in range(30)]
    found = written(*given)
    images = {image["id"]: image for image in found["images"]}
    categories = {category["id"] for category in found["categories"]}
    assert len(images) == len(found["images"]) == 7
    assert {a["id"] for a in found["annotations"]} == set(range(1, 21))
    for annotation in found["annotations"]:
        image = images[annotation["image_id"]]
        x, y, width, height = annotation["bbox"]
        assert annotation["category_id"] in categories
        assert annotation["area"] == width * height > 0
        assert annotation["iscrowd"] == 0
        assert 0 <= x < x + width <= image["width"]
        assert 0 <= y < y + height <= image["height"]
    assert {image["id"] for image in found["images"]} == {
        annotation["image_id"] for annotation in found["annotations"]
    }


def test_pictures_of_one_name_are_told_apart() -> None:
    found = written(said(1, box=(0, 0, 1, 1)), said(2, box=(0, 0, 1, 1)))
    first, second = (image["file_name"] for image in found["images"])
    assert first == "a.jpg"
    assert second == f"{2:064d}-a.jpg"
    nameless = written(said(3, box=(0, 0, 1, 1), name=None))
    assert nameless["images"][0]["file_name"] == f"{3:064d}"


def test_no_picture_takes_the_name_that_another_is_given() -> None:
    taken = said(1, box=(0, 0, 1, 1), name=f"{3:064d}-a.jpg")
    found = written(taken, said(2, box=(0, 0, 1, 1)), said(3, box=(0, 0, 1, 1)))
    assert len({image["file_name"] for image in found["images"]}) == 3


def test_a_box_is_of_what_the_person_says_it_is() -> None:
    own = Correct(zh="我家的猫")
    given = said(0, box=(1, 2, 3, 4)).model_copy(update={"correct": own})
    (category,) = written(given)["categories"]
    assert (category["name"], category["name_zh"], category["name_en"]) == (
        "我家的猫",
        "我家的猫",
        None,
    )
    assert category["label_id"] is None


def test_picture_whose_size_is_not_known_is_left_out() -> None:
    given = said(0, box=(1, 2, 3, 4))
    unsized = given.model_copy(update={"image": ImageFacts(filename="a.jpg")})
    assert written(unsized)["annotations"] == []
