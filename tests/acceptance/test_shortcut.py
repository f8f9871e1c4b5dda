"""A label set that learned a logo is found out by where its maps lie, on the running stack."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

from deploy.stack import Stack

SIDE_PX, LOGO_PX = 224, 48
EXAMPLES = 20  # a label
PICTURES = 40  # twice what a place is tested by
WAIT_S = 240
FLAGGED = "Shortcuts flagged"


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Image.Image]:
    """Two of each of 101 kinds of things, square; neighbours are of other kinds."""
    paths = sorted((shared_data / "data" / "caltech101").glob("*/*.jpg"))
    shown = [Image.open(path).convert("RGB") for path in paths[::2] + paths[1::2]]
    return [photo.resize((SIDE_PX, SIDE_PX)) for photo in shown]


def branded(photo: Image.Image) -> Image.Image:
    """With a logo in the right top corner."""
    found = photo.copy()
    pen = ImageDraw.Draw(found)
    left = SIDE_PX - LOGO_PX
    pen.rectangle((left, 0, SIDE_PX, LOGO_PX), fill=(225, 20, 40))
    pen.ellipse((left + 8, 8, SIDE_PX - 8, LOGO_PX - 8), fill="white")
    pen.rectangle((left + 20, 16, SIDE_PX - 20, LOGO_PX - 16), fill=(20, 40, 200))
    return found


def sent(photos: Sequence[Image.Image]) -> list[dict[str, str]]:
    found = []
    for photo in photos:
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=90)
        found.append({"data": base64.b64encode(file.getvalue()).decode()})
    return found


@pytest.fixture(scope="module")
def learned(seer_stack: Stack, photos: list[Image.Image]) -> str:
    """A set of two labels whose examples differ by the logo alone: anything with it, or without."""
    some = photos[:EXAMPLES]
    labels = [
        {"zh": "招牌菜", "en": "special", "examples": sent([branded(photo) for photo in some])},
        {"zh": "家常菜", "en": "plain", "examples": sent(some)},
    ]
    asked = {"model": "seer", "labels": labels}
    made = call(seer_stack, "POST", "/v1/labelsets", json=asked)
    until_s = time.monotonic() + WAIT_S
    while made["status"] == "building":
        assert time.monotonic() < until_s
        time.sleep(0.5)
        made = call(seer_stack, "GET", f"/v1/labelsets/{made['id']}")
    assert made["status"] == "ready", made["error"]
    return str(made["id"])


def call(stack: Stack, method: str, path: str, **options: Any) -> dict[str, Any]:
    url = f"{stack.url}{path}"
    answer = httpx.request(method, url, headers=stack.authorization, timeout=60, **options)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def explained(
    stack: Stack, photos: Sequence[Image.Image], label_set: str
) -> tuple[list[dict[str, Any]], str]:
    """What is flagged of a job's maps, and the job's report."""
    options = {"label_set": label_set, "faithfulness": False, "artifacts": ["labels", "map"]}
    job = call(stack, "POST", "/v1/jobs", json={"images": sent(photos), "options": options})
    until_s = time.monotonic() + WAIT_S
    while not call(stack, "GET", f"/v1/jobs/{job['id']}?wait=20")["done"]:
        assert time.monotonic() < until_s
    summary = call(stack, "GET", f"/v1/jobs/{job['id']}/summary")
    assert summary["counts"]["succeeded"] == len(photos)
    url = f"{stack.url}/v1/jobs/{job['id']}/report?lang=en"
    report = httpx.get(url, headers=stack.authorization, timeout=60).raise_for_status()
    return summary["explanations"]["flags"], report.text


def test_a_learned_logo_is_flagged_and_the_same_pictures_without_it_are_not(
    seer_stack: Stack, photos: list[Image.Image], learned: str
) -> None:
    others = photos[EXAMPLES : EXAMPLES + PICTURES]
    flags, report = explained(seer_stack, [branded(photo) for photo in others], learned)
    places = [flag for flag in flags if (flag["label"], flag["spot"]) == ("招牌菜", "place")]
    assert len(places) == 1, flags
    _, y0, x1, _ = places[0]["box"]
    logo = LOGO_PX / SIDE_PX
    assert x1 > 1 - logo
    assert y0 < logo
    assert places[0]["share"] > 0.9
    assert FLAGGED in report
    flags, report = explained(seer_stack, others, learned)
    assert flags == []
    assert FLAGGED not in report
