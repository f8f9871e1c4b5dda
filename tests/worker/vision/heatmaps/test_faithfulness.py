from __future__ import annotations

import pytest
import torch
from torch import Tensor

from worker.vision.heatmaps.faithfulness import (
    Thresholds,
    build_centre_blob,
    fit,
    judge,
    random_grids,
    rank_cells,
    score_maps,
    split_cells,
    verdict,
)

GRID = (4, 6)


class Watcher:
    """Knows label 1 by one cell alone, and never that it does not know."""

    min_map_cells = 0

    def __init__(self, row: int, column: int) -> None:
        self.at = (row, column)
        self.shown: list[Tensor] = []

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        self.shown.append(cells)
        seen = cells[:, self.at[0], self.at[1]].float()
        return torch.stack([torch.zeros_like(seen), 8 * seen - 4], dim=1)


def spot(row: int, column: int, *, count: int = 1) -> Tensor:
    grid = torch.zeros(count, *GRID)
    grid[:, row, column] = 1
    return grid


def pictures(count: int) -> Tensor:
    return torch.zeros(count, 8, 12, 3, dtype=torch.uint8)


def test_a_map_that_names_the_evidence_scores_near_1_and_its_opposite_near_minus_1() -> None:
    classes = torch.ones(2, dtype=torch.int64)
    right, wrong = spot(3, 0, count=2), -spot(3, 0, count=2)
    found = score_maps(Watcher(3, 0), pictures(2), classes, [right, wrong])
    assert found.shape == (2, 2)
    assert (found[0] > 0.95).all()
    assert torch.allclose(found[1], -found[0])


def test_every_picture_is_asked_for_its_own_label() -> None:
    found = score_maps(Watcher(3, 0), pictures(2), torch.tensor([1, 0]), [spot(3, 0, count=2)])
    assert found[0, 0] > 0.95
    assert found[0, 1] < -0.95


def test_a_map_beats_the_centre_only_if_it_knows_more_than_where_things_tend_to_be() -> None:
    at_corner = judge(Watcher(0, 0), pictures(1), torch.tensor([1]), [spot(0, 0)])[0][0]
    assert (at_corner.verdict, at_corner.beats_centre) == ("faithful", True)
    assert at_corner.centre < 0
    in_middle = judge(Watcher(1, 2), pictures(1), torch.tensor([1]), [spot(1, 2)])[0][0]
    assert in_middle.score == in_middle.centre
    assert (in_middle.verdict, in_middle.beats_centre) == ("faithful", False)


def test_several_maps_of_a_picture_share_one_centre() -> None:
    watcher = Watcher(0, 0)
    judged = judge(
        watcher, pictures(3), torch.ones(3, dtype=torch.int64), [spot(0, 0, count=3)] * 2
    )
    assert [len(of_map) for of_map in judged] == [3, 3]
    assert sum(len(cells) for cells in watcher.shown) == 3 * 2 * (2 + 1)


def test_a_verdict_says_whether_its_thresholds_are_the_models_own() -> None:
    own = Thresholds(faithful=0.999, random=0.998)
    judged = judge(Watcher(0, 0), pictures(1), torch.tensor([1]), [spot(0, 0)], thresholds=own)[0][
        0
    ]
    assert (judged.verdict, judged.calibrated) == ("not_better_than_random", True)


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.71, "faithful"), (0.7, "weak"), (0.23, "weak"), (0.22, "not_better_than_random")],
)
def test_verdicts_start_at_their_thresholds(score: float, expected: str) -> None:
    assert verdict(score, Thresholds()) == expected


def test_scores_that_are_not_numbers_are_no_verdict_for_a_map() -> None:
    class Broken(Watcher):
        def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
            return super().forward_visible(pixels, cells) * torch.nan

    judged = judge(Broken(0, 0), pictures(1), torch.tensor([1]), [spot(0, 0)])[0][0]
    assert (judged.score, judged.verdict) == (0.0, "not_better_than_random")


@pytest.mark.parametrize(("rows", "columns", "cells"), [(16, 16, 102), (4, 6, 10), (3, 3, 4)])
def test_the_hottest_two_fifths_of_the_cells_are_told_from_the_rest(
    rows: int, columns: int, cells: int
) -> None:
    for grid in (torch.randn(5, rows, columns), torch.zeros(2, rows, columns)):
        hot, rest = split_cells(grid)
        assert (hot.sum((1, 2)) == cells).all()
        assert torch.equal(rest, ~hot)
        assert all(own[of].min() >= own[~of].max() for own, of in zip(grid, hot, strict=True))


def test_signed_values_are_ranked_as_they_are() -> None:
    grid = torch.tensor([[[-3.0, 2.0], [0.0, -1.0]]])
    assert rank_cells(grid).tolist() == [[[3, 0], [1, 2]]]


def test_cells_of_equal_heat_are_not_ranked_by_where_they_lie() -> None:
    hot, _ = split_cells(torch.zeros(1, 16, 16))
    assert 0.2 < hot[0, :8].float().mean() < 0.6
    assert torch.equal(hot, split_cells(torch.zeros(1, 16, 16))[0])


def test_the_centre_blob_falls_off_to_the_corners_alike() -> None:
    blob = build_centre_blob((3, 5))[0]
    assert blob.argmax() == 7
    corners = blob[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert torch.allclose(corners, blob.min().expand(4))


def test_random_maps_repeat_by_their_seed_and_can_be_smooth() -> None:
    rough, smooth = (random_grids(4, (16, 16), seed=3, smooth_cells=s) for s in (0.0, 2.0))
    assert torch.equal(rough, random_grids(4, (16, 16), seed=3))
    assert not torch.equal(rough, random_grids(4, (16, 16), seed=4))
    steps = [(g[:, 1:] - g[:, :-1]).std() / g.std() for g in (rough, smooth)]
    assert steps[1] < 0.5 * steps[0]


def test_fitted_thresholds_leave_one_noise_map_in_twenty_and_one_blob_in_ten() -> None:
    noise, centre = torch.randn(2000) * 0.2, 0.4 + torch.randn(2000) * 0.2
    limits = fit(noise, torch.stack([centre - 0.3, centre, centre - 0.1]))
    assert (noise >= limits.random).float().mean() == pytest.approx(0.05, abs=0.005)
    assert (centre >= limits.faithful).float().mean() == pytest.approx(0.1, abs=0.005)


def test_a_faithful_map_is_never_one_that_random_maps_reach() -> None:
    limits = fit(torch.full((20,), 0.4), torch.full((2, 20), -0.1))
    assert limits.faithful >= limits.random >= 0.4
    assert fit(torch.full((20,), -0.4), torch.full((2, 20), -0.1)).random == 0


def test_coarse_maps_are_cut_finer_where_the_model_can_be_shown_any_part() -> None:
    class Fine(Watcher):
        min_map_cells = 50

    watcher = Fine(7, 0)
    found = score_maps(watcher, pictures(1), torch.tensor([1]), [spot(3, 0)])
    assert watcher.shown[0].shape == (1, 2 * GRID[0], 2 * GRID[1])
    assert found[0, 0] > 0.95
