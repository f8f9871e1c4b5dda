"""Hints about a map's shape agree with what a reader would count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.vision.heatmaps.diagnostics import diagnose
from worker.vision.heatmaps.heatmap import Heatmap, Window


def made(
    grid: np.ndarray, *, window: Window | None = None, size: tuple[int, int] = (80, 80)
) -> Heatmap:
    window = window or Window(0, 0, *size)
    return Heatmap(np.asarray(grid, np.float32), window, *size, True)


def spot(row: int, column: int, *, cells: int = 8) -> np.ndarray:
    grid = np.zeros((cells, cells), np.float32)
    grid[row, column] = 1
    return grid


def test_one_hot_cell_is_fully_concentrated() -> None:
    found = diagnose(made(spot(3, 4)))
    assert found.entropy == 0
    assert found.effective_area == pytest.approx(1 / 64)
    assert found.border_mass == 0
    assert found.spread == pytest.approx(0, abs=1e-9)
    assert not found.flat


def test_a_uniform_map_is_flat_and_everywhere() -> None:
    found = diagnose(made(np.ones((8, 8))))
    assert found.entropy == pytest.approx(1)
    assert found.effective_area == pytest.approx(1)
    assert found.border_mass == pytest.approx(28 / 64)
    assert found.morans_i == 0
    assert found.flat
    assert found.regions == []


def test_half_of_the_cells_equally_hot_have_half_the_area() -> None:
    grid = np.zeros((8, 8))
    grid[:4] = 3
    found = diagnose(made(grid))
    assert found.effective_area == pytest.approx(0.5)
    assert found.entropy == pytest.approx(math.log(32) / math.log(64))


def test_area_counts_the_whole_picture_not_the_window_alone() -> None:
    found = diagnose(made(np.ones((8, 8)), window=Window(20, 0, 60, 80)))
    assert found.effective_area == pytest.approx(0.5)


@pytest.mark.parametrize("grid", [np.zeros((8, 8)), -np.ones((8, 8)), -np.eye(8)])
def test_a_map_that_speaks_for_nothing_has_no_mass(grid: np.ndarray) -> None:
    found = diagnose(made(grid))
    assert (found.entropy, found.effective_area, found.border_mass, found.spread) == (0, 0, 0, 0)
    assert found.flat
    assert found.regions == []


def test_mass_in_the_corner_is_border_mass() -> None:
    assert diagnose(made(spot(0, 7))).border_mass == pytest.approx(1)


def test_two_distant_cells_spread_by_half_their_distance() -> None:
    found = diagnose(made(spot(0, 0) + spot(7, 7)))
    assert found.spread == pytest.approx(math.hypot(35, 35) / math.hypot(80, 80))


def test_spread_is_measured_in_the_picture_not_in_cells() -> None:
    grid = spot(3, 0) + spot(3, 7)
    wide = diagnose(made(grid, size=(800, 80))).spread
    assert wide == pytest.approx(350 / math.hypot(800, 80))


def test_morans_i_tells_smooth_from_checkered_from_noise() -> None:
    y, x = np.mgrid[0:16, 0:16]
    noise = np.random.default_rng(1).standard_normal((64, 64))
    assert diagnose(made(np.exp(-((x - 8) ** 2 + (y - 8) ** 2) / 30))).morans_i > 0.85
    assert diagnose(made((x + y) % 2)).morans_i == pytest.approx(-1, abs=0.01)
    assert abs(diagnose(made(noise)).morans_i) < 0.05


def test_morans_i_equals_its_definition() -> None:
    grid = np.random.default_rng(2).standard_normal((4, 5)).astype(np.float32).astype(np.float64)
    away, numerator, weights = grid - grid.mean(), 0.0, 0
    for y, x in np.ndindex(4, 5):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < 4 and 0 <= u < 5:
                numerator += away[y, x] * away[v, u]
                weights += 1
    expected = grid.size / weights * numerator / (away**2).sum()
    assert diagnose(made(grid)).morans_i == pytest.approx(expected)


def test_a_hot_region_is_boxed_where_it_lies_in_the_picture() -> None:
    window = Window(100, 50, 500, 250)
    found = diagnose(made(spot(2, 6), window=window, size=(600, 300)))
    x0, y0, x1, y1 = found.regions[0].box_px
    assert len(found.regions) == 1
    # the cell is 400 <= x < 450, 100 <= y < 125; bilinear flanks are half as hot at its edges
    assert (x0, y0, x1, y1) == pytest.approx((400, 100, 450, 125), abs=4)
    assert 0.5 < found.regions[0].mass < 1


def test_regions_come_heaviest_first_and_share_the_mass() -> None:
    grid = np.zeros((12, 12))
    grid[1:4, 1:4] = 1
    grid[9, 9] = 0.9
    found = diagnose(made(grid, size=(120, 120)))
    boxes = [region.box_px for region in found.regions]
    assert len(boxes) == 2
    assert boxes[0][0] < 60 < boxes[1][0]
    assert found.regions[0].mass > found.regions[1].mass
    assert sum(region.mass for region in found.regions) <= 1


def test_at_most_five_regions_are_named() -> None:
    grid = np.zeros((20, 20))
    grid[::4, ::4] = 1
    assert len(diagnose(made(grid)).regions) == 5


def test_heat_beyond_the_picture_makes_no_region() -> None:
    heatmap = Heatmap(spot(3, 0), Window(-200, 0, 200, 80), 80, 80, True)
    assert diagnose(heatmap).regions == []


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-30, 1e-6, 1.0, 1e20]),
)
def test_all_shares_stay_shares_and_boxes_stay_in_the_picture(
    gh: int, gw: int, size: tuple[int, int], seed: int, scale: float
) -> None:
    grid = np.random.default_rng(seed).standard_normal((gh, gw)) * scale
    found = diagnose(made(grid, size=size))
    for share in (found.entropy, found.effective_area, found.border_mass, found.spread):
        assert 0 <= share <= 1 + 1e-9
    assert math.isfinite(found.morans_i)
    for region in found.regions:
        x0, y0, x1, y1 = region.box_px
        assert 0 <= x0 < x1 <= size[0]
        assert 0 <= y0 < y1 <= size[1]
        assert 0 < region.mass <= 1
