"""Pictures that are examples: what the engine makes of them, and of boxes in them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from guanwu.wire.options import Options
from worker.contract.errors import LabelSetOutdated, ModelError
from worker.contract.label_set import LabelSet
from worker.vision.analysis import Analysis, PixelBox, Prepared
from worker.vision.engine import examples
from worker.vision.engine.batch import View
from worker.vision.engine.engine import Engine
from worker.vision.heatmaps.heatmap import Window
from worker.vision.images.decoding import Picture, decode
from worker.vision.labels.client_labels import ClientLabels
from worker.vision.models.preprocessing.framing import Framed
from worker.vision.scoring.prototypes import fit

KINDS = ("pagoda", "soccer_ball", "panda")
NAMES = LabelSet("lbs_x@1", zh=("宝塔", "足球", "熊猫"), en=KINDS)
OPTIONS = Options(models=["caltech"], label_set=NAMES.id, explain=[], artifacts=["labels"])
UNBUILT = ClientLabels(labels=NAMES, model="caltech")


@pytest.fixture(scope="module")
def engine(shared_data: Path) -> Engine:
    source = f"path:{shared_data / 'models' / 'vit-s14-caltech101'}"
    return Engine(default_models=["caltech"], device="cpu", extra_models={"caltech": source})


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> list[tuple[Picture, Picture]]:
    """Two of each kind."""
    folder = shared_data / "data" / "caltech101"
    opened = partial(decode, max_bytes=2**26, max_pixels=2**26)
    paths = [sorted((folder / kind).iterdir())[:2] for kind in KINDS]
    return [(opened(a.read_bytes()), opened(b.read_bytes())) for a, b in paths]


def analysed(engine: Engine, prepared: list[Prepared]) -> list[Analysis]:
    found = engine.analyze(prepared, OPTIONS)
    assert all(isinstance(one, Analysis) for one in found), found
    return [one for one in found if isinstance(one, Analysis)]


def features(engine: Engine, seen: list[Picture], box: PixelBox | None = None) -> list[Analysis]:
    prepared = [engine.prepare(picture, OPTIONS, UNBUILT) for picture in seen]
    return analysed(engine, [replace(one, box_px=box) for one in prepared])


def test_examples_become_features_and_their_prototypes_name_other_pictures(
    engine: Engine, pictures: list[tuple[Picture, Picture]]
) -> None:
    seen = features(engine, [first for first, _ in pictures])
    rows = [one.example.features for one in seen if one.example is not None]
    assert [one.labels for one in seen] == [[], [], []]
    assert seen[0].example is not None
    client = ClientLabels(
        labels=NAMES,
        model="caltech",
        prototypes=fit([torch.from_numpy(row) for row in rows]),
        methods=seen[0].example.methods,
        weights_sha256=seen[0].models[0].weights_sha256,
    )
    named = analysed(engine, [engine.prepare(second, OPTIONS, client) for _, second in pictures])
    assert [one.labels[0].zh for one in named] == list(NAMES.zh)
    assert "relevance" in client.methods
    # The model itself goes on with the labels that it was trained for.
    plain = Options(models=["caltech"], explain=[], artifacts=["labels"])
    (own,) = engine.analyze([engine.prepare(pictures[0][0], plain)], plain)
    assert isinstance(own, Analysis)
    assert own.labels[0].en == "pagoda"
    old = replace(client, weights_sha256="0" * 64)
    (refused,) = engine.analyze([engine.prepare(pictures[0][1], OPTIONS, old)], OPTIONS)
    assert isinstance(refused, LabelSetOutdated)


def test_a_box_is_seen_apart_from_what_lies_around_it(
    engine: Engine, pictures: list[tuple[Picture, Picture]]
) -> None:
    picture = pictures[0][0]
    (whole,) = features(engine, [picture])
    box = (0, 0, picture.width // 2, picture.height)
    (boxed,) = features(engine, [picture], box)
    (all_of_it,) = features(engine, [picture], (0, 0, picture.width, picture.height))
    assert whole.example is not None
    assert boxed.example is not None
    assert all_of_it.example is not None
    assert boxed.example.features.shape == (2, whole.example.features.shape[1])
    assert all_of_it.example.features == pytest.approx(whole.example.features, abs=1e-4)
    inside, outside = boxed.example.features
    assert not np.allclose(inside, outside)
    # What lies outside of the box does not reach what is seen inside of it.
    changed = picture.rgb.copy()
    changed[:, picture.width * 2 // 3 :] = 255 - changed[:, picture.width * 2 // 3 :]
    (other,) = features(engine, [replace(picture, rgb=changed)], box)
    assert other.example is not None
    assert other.example.features[0] == pytest.approx(inside, abs=1e-3)
    assert not np.allclose(other.example.features[1], outside, atol=1e-2)


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        ((0, 0, 40, 20), [[1, 1, 1, 1], [1, 1, 1, 1]]),
        ((10, 0, 30, 10), [[0, 1, 1, 0], [0, 0, 0, 0]]),
        ((4, 4, 26, 20), [[1, 1, 1, 0], [1, 1, 1, 0]]),
        ((31, 11, 32, 12), [[0, 0, 0, 0], [0, 0, 0, 1]]),
        ((0, 9, 40, 11), [[1, 1, 1, 1], [0, 0, 0, 0]]),
    ],
)
def test_cells_lie_in_a_box_by_their_centres_and_one_always_does(
    box: PixelBox, cells: list[list[int]]
) -> None:
    blank: npt.NDArray[np.uint8] = np.zeros((2, 4, 3), np.uint8)
    view = View(Framed(blank, Window(0, 0, 40, 20)), width=40, height=20)
    found = examples.cells_inside(view, box, (2, 4))
    assert found.astype(int).tolist() == cells


def test_a_picture_in_which_the_model_sees_nothing_is_no_example(
    engine: Engine, pictures: list[tuple[Picture, Picture]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.model("caltech")
    blind = torch.tensor([[0.0, 0.0], [float("nan"), 1.0], [3.0, 4.0]])
    monkeypatch.setattr(type(model), "embed", lambda *_: blind)
    batch = [engine.prepare(first, OPTIONS, UNBUILT) for first, _ in pictures]
    first, second, third = engine.analyze(batch, OPTIONS)
    assert isinstance(first, ModelError)
    assert isinstance(second, ModelError)
    assert isinstance(third, Analysis)
