"""Coarse densities: maps of any picture and window on one grid."""

from __future__ import annotations

import numpy as np
import pytest

from guanwu.wire.results import Label
from worker.contract.coarse_maps import SIDE
from worker.vision.analysis import Analysis, MadeMap, representative_maps
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
    one = heatmap([[1.0]])
    maps = [
        MadeMap(model="a", method="cam", target={"label": "x", "id": 7}, slug="7", heatmap=one),
        MadeMap(model="a", method="cam", target={"label": "y", "id": 8}, slug="8", heatmap=one),
        MadeMap(model="b", method="attention", target=None, slug="free", heatmap=one),
        MadeMap(model="b", method="attention", target=None, slug="free", heatmap=one, heads=1),
    ]
    analysis = Analysis(
        labels=[label(8, rank=1), label(7, rank=2)], unknown=False, explanations=maps, models=[]
    )
    assert [nth for nth, _ in representative_maps(analysis)] == [1, 2]


def label(number: int, *, rank: int) -> Label:
    return Label(rank=rank, zh=str(number), en=str(number), id=number, score=0.5, model="a")
