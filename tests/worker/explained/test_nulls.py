"""A place is hot beside the same map moved round, or with its cells shuffled."""

from __future__ import annotations

import numpy as np
import pytest

from tests.worker.explained.maps import anywhere, middling
from worker.contract.coarse_maps import SIDE
from worker.explained import nulls, traces

WHOLE = np.array([0, SIDE, 0, SIDE], np.int8)


@pytest.mark.parametrize("shape", [(14, 14), (14, 9), (6, 11)])
def test_mass_of_a_map_moved_round_is_that_of_the_moved_map(shape: tuple[int, int]) -> None:
    maps = np.random.default_rng(3).random((4, *shape), np.float32)
    ring, corners = nulls.in_ring(*shape), nulls.in_corner(*shape)
    for row, column in np.ndindex(shape):
        moved = np.roll(maps, (-row, -column), (1, 2))
        border = nulls.on_border(maps)[:, row, column]
        assert border == pytest.approx((moved * ring).sum((1, 2)), rel=1e-4)
        cornered = nulls.in_corners(maps)[:, row, column]
        assert cornered == pytest.approx((moved * corners).sum((1, 2)), rel=1e-4)


def test_mass_of_a_place_is_that_of_the_cells_around_it() -> None:
    maps = np.random.default_rng(3).random((4, 14, 9), np.float32)
    assert nulls.in_places(maps)[:, 5, 4] == pytest.approx(maps[:, 4:7, 3:6].sum((1, 2)))


def test_smooth_maps_anywhere_are_hot_everywhere_equally_often() -> None:
    n = 4000
    steps = np.random.default_rng(5).integers(0, SIDE, (n, 2))
    round_about = np.stack(
        [np.roll(one, tuple(by), (0, 1)) for one, by in zip(middling(n), steps, strict=True)]
    )
    total = traces.traced(round_about, np.tile(WHOLE, (n, 1))).sum(axis=0)
    border, corners = total[traces.BORDER] / n, total[traces.CORNERS] / n
    assert border[3] == pytest.approx(0.05, abs=0.015)  # moved round: what was expected
    assert corners[3] == pytest.approx(0.05, abs=0.015)
    assert border[2] > 0.15  # shuffles take any smooth map for news
    shares = (total[traces.HOT] / n).reshape(SIDE, SIDE)[1:-1, 1:-1]
    assert shares == pytest.approx(np.full_like(shares, 0.046), abs=0.02)


def test_noise_is_above_its_shuffles_as_often_as_chance_has_it() -> None:
    noise = np.random.default_rng(7).random((4000, SIDE, SIDE)).astype(np.float32)
    total = traces.traced(noise, np.tile(WHOLE, (4000, 1))).sum(axis=0)
    assert total[traces.BORDER][2] / 4000 == pytest.approx(0.05, abs=0.02)


def test_maps_without_contrast_or_mass_are_hot_nowhere() -> None:
    even = np.full((3, SIDE, SIDE), 1 / SIDE**2, np.float32)
    even[1] = 0
    rows = traces.traced(even, np.tile(WHOLE, (3, 1)))
    assert not rows[:, traces.HOT].any()
    assert rows[:, traces.EDGED].tolist() == [1, 0, 1]
    assert rows[:, traces.BORDER][:, 2:].sum() == 0


def test_a_strip_too_narrow_to_say_where_heat_lies_is_not_looked_at() -> None:
    rows = traces.traced(anywhere(2), np.tile(np.array([0, SIDE, 5, 9], np.int8), (2, 1)))
    assert not rows[:, traces.EDGED].any()
    assert rows[:, traces.MAPS].tolist() == [1, 1]
