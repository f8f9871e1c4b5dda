"""A mark made today changes the next job: labels that were mixed up, maps that looked aside."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.label_sets import ClientSet
from tests.benchmarks.composites import Composite, Rgb, beside
from worker.vision.images.decoding import decode
from worker.vision.rendering.png import encoded

pytestmark = pytest.mark.slow
WAIT_S = 240.0
THINGS, COMPANIONS = ("panda", "pagoda", "sunflower"), ("laptop", "soccer_ball", "umbrella")
Photos = dict[str, Sequence[Rgb]]


@pytest.fixture(scope="module")
def client(seer_stack: Stack) -> Iterator[Client]:
    with Client(seer_stack.url, seer_stack.token) as made:
        yield made


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> Photos:
    """Two pictures of each kind."""
    folder = shared_data / "data" / "caltech101"
    opened = partial(decode, max_bytes=2**24, max_pixels=2**24)
    return {
        kind: [opened(p.read_bytes()).rgb for p in sorted((folder / kind).iterdir())]
        for kind in THINGS + COMPANIONS
    }


def test_labels_that_were_mixed_up_are_right_after_corrections(
    client: Client, photos: Photos
) -> None:
    panda, pagoda = photos["panda"], photos["pagoda"]
    made = built(client, {"panda": pagoda[0], "pagoda": panda[0]})
    others = {"panda": panda[1], "pagoda": pagoda[1]}
    assert first_labels(client, made, list(others.values())) == ["pagoda", "panda"]
    marked = [("panda", picture) for picture in changed(panda[0])]
    marked += [("pagoda", picture) for picture in changed(pagoda[0])]
    job = client.submit(
        [encoded(picture) for _, picture in marked],
        options={"label_set": made.ref, "artifacts": ["labels"]},
    )
    job.wait(timeout_s=WAIT_S)
    for index, (name, _) in enumerate(marked):
        client.feedback.mark(job.id, index, kind="wrong_label", correct=name)
    better = accepted(client, made, job.id)
    assert first_labels(client, better, list(others.values())) == ["panda", "pagoda"]
    assert first_labels(client, made, list(others.values())) == ["pagoda", "panda"]


def test_boxes_draw_the_next_maps_into_the_thing(client: Client, photos: Photos) -> None:
    chance = random.Random(0)
    pairs = list(zip(THINGS, COMPANIONS, strict=True))
    examples = [beside(photos[a][0], photos[b][0], chance) for a, b in pairs]
    shown = [beside(photos[a][1], photos[b][1], chance) for a, b in pairs]
    made = built(client, {a: one.rgb for a, one in zip(THINGS, examples, strict=True)})
    before = mean_mass(client, made, shown)
    job = client.submit(
        [encoded(one.rgb) for one in examples],
        options={"label_set": made.ref, "artifacts": ["labels"]},
    )
    job.wait(timeout_s=WAIT_S)
    for index, (name, one) in enumerate(zip(THINGS, examples, strict=True)):
        box = one.box_px
        client.feedback.mark(job.id, index, kind="wrong_region", label=name, box_px=box)
    after = mean_mass(client, accepted(client, made, job.id), shown)
    assert after > before + 0.2


def changed(rgb: Rgb) -> list[Rgb]:
    """A picture, its mirror image, and its middle."""
    height, width = rgb.shape[:2]
    middle = rgb[height // 8 : -height // 8, width // 8 : -width // 8]
    return [rgb, np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(middle)]


def built(client: Client, examples: dict[str, Rgb]) -> ClientSet:
    asked = {name: [encoded(rgb)] for name, rgb in examples.items()}
    made = client.labelsets.of_examples(asked, model="seer", timeout_s=WAIT_S)
    assert made.status == "ready", made.error
    return made


def accepted(client: Client, base: ClientSet, job: str) -> ClientSet:
    """The version that has learned from the feedback on a job."""
    proposal = client.labelsets.absorb(base.id, job=job)
    made = client.labelsets.accept(proposal, timeout_s=WAIT_S)
    assert (made.status, made.version) == ("ready", base.version + 1), made.error
    return made


def first_labels(client: Client, version: ClientSet, pictures: Sequence[Rgb]) -> list[str]:
    job = client.submit(
        [encoded(picture) for picture in pictures],
        options={"label_set": version.ref, "artifacts": ["labels"]},
    )
    job.wait(timeout_s=WAIT_S)
    return [item.labels[0].en for item in sorted(job.results(), key=lambda item: item.index)]


def mean_mass(client: Client, version: ClientSet, pictures: Sequence[Composite]) -> float:
    """The share of its label's map that lies on the thing, mean of the pictures."""
    shares = []
    for name, one in zip(THINGS, pictures, strict=True):
        options = {
            "label_set": version.ref,
            "explain": [{"method": "relevance", "target": {"label": name}}],
            "artifacts": ["labels", "map"],
            "faithfulness": False,
        }
        job = client.submit([encoded(one.rgb)], options=options)
        job.wait(timeout_s=WAIT_S)
        (item,) = job.results()
        data = client.download(item.explanations[0].artifacts["map"])
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert grey is not None
        heat = np.clip(grey.astype(np.float64) - 2**15, 0, None)  # the middle of a signed map is 0
        x0, y0, x1, y1 = one.box_px
        shares.append(heat[y0:y1, x0:x1].sum() / heat.sum())
    return float(np.mean(shares))
