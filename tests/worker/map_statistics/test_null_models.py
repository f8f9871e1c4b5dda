"""A place is hot beside the same map moved round, or with its cells shuffled."""

from __future__ import annotations

import numpy as np
import pytest

from tests.worker.map_statistics.maps import anywhere, middling
from worker.contract.coarse_maps import SIDE
from worker.map_statistics import map_rows, null_models

WHOLE = np.array([0, SIDE, 0, SIDE], np.int8)


@pytest.mark.parametrize("shape", [(14, 14), (14, 9), (6, 11)])
def test_mass_of_a_map_moved_round_is_that_of_the_moved_map(shape: tuple[int, int]) -> None:
    maps = np.random.default_rng(3).random((4, *shape), np.float32)
    ring, corners = null_models.in_ring(*shape), null_models.in_corner(*shape)
    for row, column in np.ndindex(shape):
        moved = np.roll(maps, (-row, -column), (1, 2))
        border = null_models.on_border(maps)[:, row, column]
        assert border == pytest.approx((moved * ring).sum((1, 2)), rel=1e-4)
        cornered = null_models.in_corners(maps)[:, row, column]
        assert cornered == pytest.approx((moved * corners).sum((1, 2)), rel=1e-4)


def test_mass_of_a_place_is_that_of_the_cells_around_it() -> None:
    maps = np.random.default_rng(3).random((4, 14, 9), np.float32)
    assert null_models.in_places(maps)[:, 5, 4] == pytest.approx(maps[:, 4:7, 3:6].sum((1, 2)))


def summed(rows: map_rows.MapRows) -> map_rows.MapRows:
    total = map_rows.zero_total()
    map_rows.add_rows(total, rows)
    return total


def test_smooth_maps_anywhere_are_hot_everywhere_equally_often() -> None:
    n = 4000
    steps = np.random.default_rng(5).integers(0, SIDE, (n, 2))
    round_about = np.stack(
        [np.roll(one, tuple(by), (0, 1)) for one, by in zip(middling(n), steps, strict=True)]
    )
    total = summed(map_rows.build_rows(round_about, np.tile(WHOLE, (n, 1))))
    border, corners = total["border"], total["corners"]
    assert border["hot"] / n == pytest.approx(0.05, abs=0.015)  # moved round: what was expected
    assert corners["hot"] / n == pytest.approx(0.05, abs=0.015)
    assert border["above_shuffled"] / n > 0.15  # shuffles take any smooth map for news
    shares = (total["hot"] / n)[1:-1, 1:-1]
    assert shares == pytest.approx(np.full_like(shares, 0.046), abs=0.02)


def test_noise_is_above_its_shuffles_as_often_as_chance_has_it() -> None:
    noise = np.random.default_rng(7).random((4000, SIDE, SIDE)).astype(np.float32)
    total = summed(map_rows.build_rows(noise, np.tile(WHOLE, (4000, 1))))
    assert total["border"]["above_shuffled"] / 4000 == pytest.approx(0.05, abs=0.02)


def test_maps_without_contrast_or_mass_are_hot_nowhere() -> None:
    even = np.full((3, SIDE, SIDE), 1 / SIDE**2, np.float32)
    even[1] = 0
    rows = map_rows.build_rows(even, np.tile(WHOLE, (3, 1)))
    assert not rows["hot"].any()
    assert rows["edges_tested"].tolist() == [1, 0, 1]
    assert rows["border"]["above_shuffled"].sum() == rows["border"]["hot"].sum() == 0


def test_a_strip_too_narrow_to_say_where_heat_lies_is_not_looked_at() -> None:
    rows = map_rows.build_rows(anywhere(2), np.tile(np.array([0, SIDE, 5, 9], np.int8), (2, 1)))
    assert not rows["edges_tested"].any()
    assert rows["maps"].tolist() == [1, 1]
