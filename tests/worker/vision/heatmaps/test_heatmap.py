"""A map lies where the model looked: on any aspect, at any rendered size, in any window."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.contract.errors import ExplanationUnavailable
from worker.vision.heatmaps.heatmap import Heatmap, Window

PICTURES = st.sampled_from(
    [(300, 900), (900, 300), (299, 299), (451, 300), (1, 1), (3, 200), (200, 3), (1023, 767)]
)
SIDES = st.integers(1, 400)


def whole(grid: np.ndarray, width: int, height: int, *, signed: bool = True) -> Heatmap:
    return Heatmap(grid.astype(np.float32), Window(0, 0, width, height), width, height, signed)


def one_hot(gh: int, gw: int, row: int, column: int) -> np.ndarray:
    grid = np.zeros((gh, gw), np.float32)
    grid[row, column] = 1
    return grid


@st.composite
def hot_cells(draw: st.DrawFn) -> tuple[Heatmap, tuple[float, float, float, float]]:
    """A map with one hot cell, and that cell's rectangle in the picture."""
    width, height = draw(PICTURES)
    x0, x1 = sorted(draw(st.tuples(st.floats(0, 0.4), st.floats(0.6, 1))))
    y0, y1 = sorted(draw(st.tuples(st.floats(0, 0.4), st.floats(0.6, 1))))
    window = Window(x0 * width, y0 * height, x1 * width, y1 * height)
    gh, gw = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    row, column = draw(st.integers(0, gh - 1)), draw(st.integers(0, gw - 1))
    cell_w, cell_h = (window.x1 - window.x0) / gw, (window.y1 - window.y0) / gh
    left, top = window.x0 + column * cell_w, window.y0 + row * cell_h
    heatmap = Heatmap(one_hot(gh, gw, row, column), window, width, height, True)
    return heatmap, (left, top, left + cell_w, top + cell_h)


@settings(deadline=None, max_examples=300)
@given(hot_cells(), SIDES, SIDES)
def test_the_hottest_pixel_touches_the_hot_cell_at_every_size(
    hot: tuple[Heatmap, tuple[float, float, float, float]], width: int, height: int
) -> None:
    heatmap, (left, top, right, bottom) = hot
    rendered = heatmap.over_picture(width, height)
    assert rendered.max() > 0
    y, x = np.unravel_index(rendered.argmax(), rendered.shape)
    rows, columns = heatmap.seen_part(width, height)
    assert touches(int(x), heatmap.width / width, left, right, columns)
    assert touches(int(y), heatmap.height / height, top, bottom, rows)


def touches(pixel: int, pixel_px: float, start: float, stop: float, seen: slice) -> bool:
    """True if the pixel touches start..stop, or the pixel in its middle was cut by the window."""
    middle = math.floor((start + stop) / 2 / pixel_px)
    if not seen.start <= middle < seen.stop:
        return pixel in (seen.start, seen.stop - 1)
    slack = 1e-3 * pixel_px
    return pixel * pixel_px < stop + slack and (pixel + 1) * pixel_px > start - slack


@pytest.mark.parametrize(("width", "height"), [(300, 900), (900, 300), (301, 299)])
@pytest.mark.parametrize("cell", [(0, 0), (0, 6), (3, 3), (6, 0), (6, 6)])
def test_the_hottest_pixels_are_the_middle_of_the_hot_cell(
    width: int, height: int, cell: tuple[int, int]
) -> None:
    rendered = whole(one_hot(7, 7, *cell), width, height).over_picture(width, height)
    ys, xs = np.nonzero(rendered > 0.999 * rendered.max())
    inner = [n for n in (0, 1) if cell[n] in range(1, 6)]
    middle = ((ys.mean() + 0.5) / height * 7, (xs.mean() + 0.5) / width * 7)
    for axis in inner:
        assert middle[axis] == pytest.approx(cell[axis] + 0.5, abs=0.05)
    assert math.floor(middle[0]) == cell[0]
    assert math.floor(middle[1]) == cell[1]


@settings(deadline=None, max_examples=100)
@given(hot_cells(), SIDES, SIDES)
def test_nothing_lies_outside_the_window(
    hot: tuple[Heatmap, tuple[float, float, float, float]], width: int, height: int
) -> None:
    heatmap = hot[0]
    seen = heatmap.seen(width, height)
    assert seen.any()
    assert not heatmap.over_picture(width, height)[~seen].any()
    part = np.zeros_like(seen)
    part[heatmap.seen_part(width, height)] = True
    np.testing.assert_array_equal(part, seen)


def test_over_the_whole_picture_it_is_plain_bilinear_resizing() -> None:
    grid = np.random.default_rng(0).standard_normal((5, 9)).astype(np.float32)
    expected = cv2.resize(grid, (333, 100), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(whole(grid, 333, 100).over_picture(333, 100), expected, atol=1e-5)


def test_a_constant_map_stays_constant_in_its_window_at_every_size() -> None:
    heatmap = Heatmap(np.full((7, 7), 2, np.float32), Window(10, 0, 90, 50), 100, 50, False)
    for size in [(100, 50), (7, 3), (640, 320), (1, 1)]:
        rendered = heatmap.over_picture(*size)
        np.testing.assert_allclose(rendered[heatmap.seen(*size)], 2, rtol=1e-6)


def test_edge_cells_reach_to_the_edge_of_the_window() -> None:
    heatmap = whole(one_hot(7, 7, 0, 0), 70, 70)
    rendered = heatmap.over_picture(70, 70)
    assert rendered[0, 0] == 1.0
    assert rendered[:5, :5].min() == 1.0


def test_a_window_thinner_than_a_pixel_still_shows() -> None:
    heatmap = Heatmap(one_hot(3, 3, 1, 1), Window(500.0, 0.0, 510.0, 10.0), 10_000, 10, True)
    assert heatmap.seen(100, 1).sum() == 1
    assert heatmap.over_picture(100, 1)[0, 5] > 0


def test_a_window_may_reach_beyond_the_picture() -> None:
    heatmap = Heatmap(one_hot(4, 4, 1, 1), Window(-100, 0, 300, 400), 200, 400, True)
    rendered = heatmap.over_picture(200, 400)
    y, x = np.unravel_index(rendered.argmax(), rendered.shape)
    assert x < 100
    assert 100 <= y < 200


def test_signed_values_keep_their_sign() -> None:
    rendered = whole(np.array([[-1.0, 1.0]]), 100, 50).over_picture(100, 50)
    assert rendered[:, :25].max() < 0 < rendered[:, 75:].min()


@pytest.mark.parametrize(
    ("grid", "flat"),
    [
        (np.zeros((7, 7)), True),
        (np.full((7, 7), 0.02), True),
        (-np.eye(7), True),
        (1 + 0.01 * np.eye(7), True),
        (np.eye(7), False),
        (1e-6 * np.eye(7), False),
        (np.eye(7) - 5, True),
    ],
)
def test_a_map_without_contrast_is_flat(grid: np.ndarray, flat: bool) -> None:
    assert whole(grid, 70, 70).flat is flat


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ExplanationUnavailable, match="float32"):
        whole(np.array([[1.0, np.nan]]), 10, 10)


@pytest.mark.parametrize(
    ("grid", "window", "size"),
    [
        (np.zeros((7, 7)), Window(0, 0, 9, 9), (9, 9)),  # float64
        (np.zeros((7,), np.float32), Window(0, 0, 9, 9), (9, 9)),
        (np.zeros((0, 7), np.float32), Window(0, 0, 9, 9), (9, 9)),
        (np.zeros((7, 7), np.float32), Window(5, 0, 5, 9), (9, 9)),
        (np.zeros((7, 7), np.float32), Window(0, 0, 9, 9), (0, 9)),
    ],
)
def test_what_is_no_map_is_refused(grid: np.ndarray, window: Window, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"grid|window|picture"):
        Heatmap(grid, window, *size, True)
