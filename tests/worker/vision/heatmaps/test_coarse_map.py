"""Coarse densities: maps of any picture and window on one grid."""

from __future__ import annotations

import numpy as np
import pytest

from guanwu.wire.results import Label
from worker.contract.coarse_maps import SIDE
from worker.results.representative_maps import representative_maps
from worker.vision.analysis import ExplanationMap
from worker.vision.heatmaps.coarse_map import density
from worker.vision.heatmaps.heatmap import Heatmap, Window


def heatmap(grid: list[list[float]], *, width: int = 100, height: int = 40) -> Heatmap:
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    window = Window(left, top, left + side, top + side)
    return Heatmap(
        grid=np.array(grid, np.float32), window=window, width=width, height=height, signed=True
    )


def test_mass_is_one_and_lies_where_the_model_looked() -> None:
    found = density(heatmap([[4.0, 0.0], [0.0, 0.0]]))
    assert found.cells.sum() == pytest.approx(1)
    assert found.seen == (0, SIDE, 4, 10)  # the middle of a wide picture
    row, column = divmod(int(found.cells.argmax()), SIDE)
    assert row < SIDE // 2
    assert 4 <= column < 7
    assert not found.cells[:, :3].any()


def test_what_speaks_against_a_label_has_no_mass() -> None:
    found = density(heatmap([[-1.0, -2.0], [-3.0, -1.0]]))
    assert not found.cells.any()


def test_the_first_map_of_a_method_stands_for_a_picture() -> None:
    cell = heatmap([[1.0]])
    seven, eight = ({"label": name, "id": number} for name, number in (("x", 7), ("y", 8)))
    maps = [
        ExplanationMap(model="a", method="cam", target=seven, slug="7", heatmap=cell),
        ExplanationMap(model="a", method="cam", target=eight, slug="8", heatmap=cell),
        ExplanationMap(model="b", method="attention", target=None, slug="free", heatmap=cell),
        ExplanationMap(
            model="b", method="attention", target=None, slug="free", heatmap=cell, heads=1
        ),
    ]
    labels = [label(8, rank=1), label(7, rank=2)]
    assert [nth for nth, _ in representative_maps(labels, maps)] == [1, 2]


def label(number: int, *, rank: int) -> Label:
    return Label(rank=rank, zh=str(number), en=str(number), id=number, score=0.5, model="a")
