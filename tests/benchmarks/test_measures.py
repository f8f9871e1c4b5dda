"""What the benchmarks of maps compute, on answers that are known beforehand."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.benchmarks.agreement import correlation
from tests.benchmarks.attention_kinds import absent_labels
from tests.benchmarks.curves import SHARES, Ask, PixelCurves, area, difference, probability
from tests.benchmarks.shown import Bar
from tests.benchmarks.trust import random_above_not, score_spearman, spearman
from tests.benchmarks.turns import in_turn, quartiles
from worker.vision.heatmaps.heatmap import Heatmap, Window
from worker.vision.rendering import overlay

WHOLE = torch.tensor([1.0])


def knows_by(cell: int) -> Ask:
    """A model that knows the label when it sees one cell of 2 x 5, and else does not."""

    def ask(stay: Tensor) -> Tensor:
        return stay.flatten(1)[:, cell].float()

    return ask


def spot(cell: int) -> Tensor:
    grid = torch.zeros(1, 10)
    grid[0, cell] = 1
    return grid.view(1, 2, 5)


def test_area_is_the_mean_height_over_the_range() -> None:
    line = [torch.tensor([0.0, 1.0]), torch.tensor([0.5, 1.0]), torch.tensor([1.0, 1.0])]
    assert area(line, [0.5, 0.75, 1.0]).tolist() == pytest.approx([0.5, 1.0])
    uneven = [torch.tensor([0.0]), torch.tensor([1.0]), torch.tensor([1.0])]
    assert area(uneven, [0.0, 0.5, 1.0]).tolist() == pytest.approx([0.75])


def test_a_map_that_names_the_evidence_gains_and_its_opposite_loses_as_much() -> None:
    counts = [1, 5, 9]
    ask = knows_by(7)
    named = difference(ask, spot(7), whole=WHOLE, kept=counts, dropped=counts)
    # kept: 1 from the first cell on. dropped: 1 at nothing, 0 from the first cell on.
    assert named.item() == pytest.approx(1.0 - 0.5 * 0.1 / 0.9)
    hidden = difference(ask, -spot(7), whole=WHOLE, kept=counts, dropped=counts)
    # kept: only the whole picture has it. dropped: it stays to the end.
    assert hidden.item() == pytest.approx(0.5 * 0.1 / 0.9 - 1.0)


def test_pixels_are_replaced_by_the_mean_and_by_a_blur_patch_by_patch() -> None:
    x = torch.zeros(1, 3, 20, 50)
    x[:, :, 10:, 20:30] = 1.0  # cell 7 of 2 x 5
    asked: list[Tensor] = []

    def ask(shown: Tensor) -> Tensor:
        asked.append(shown)
        return (shown[:, :, 10:, 20:30].mean((1, 2, 3)) > 0.9).float()

    curves = PixelCurves(ask, x)
    assert curves.whole.item() == 1.0
    assert curves(spot(7)).item() > 0.9
    assert curves(-spot(7)).item() < -0.8
    by_mean, by_blur = asked[1], asked[1 + 2 * len(SHARES)]
    assert not torch.equal(by_mean, by_blur)
    for shown in (by_mean, by_blur):
        assert torch.equal(shown[:, :, 10:, 20:30], x[:, :, 10:, 20:30])


def test_probability_is_the_share_of_the_label() -> None:
    logits = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    assert probability(logits, torch.tensor([1, 0])).tolist() == pytest.approx([0.5, 1.0])


def test_spearman_counts_order_alone_and_ties_share_their_rank() -> None:
    a = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert spearman(a, a.exp()) == pytest.approx(1.0)
    assert spearman(a, -a) == pytest.approx(-1.0)
    # ranks 1.5 1.5 3.5 3.5 against 1 2 3 4: 4 / sqrt(4 * 5)
    assert spearman(torch.tensor([0.0, 0.0, 1.0, 1.0]), a) == pytest.approx(0.8944, abs=1e-4)


def test_maps_that_know_nothing_do_not_count_for_the_correlation() -> None:
    good = torch.tensor([0.1, 0.5, 0.9])
    nothing = {"random": torch.tensor([9.0, 8.0, 7.0]), "centre": torch.tensor([6.0, 5.0, 4.0])}
    assert score_spearman({"relevance": good, **nothing}, {"relevance": good}) == pytest.approx(1.0)


def test_noise_is_judged_by_thresholds_of_the_other_half() -> None:
    low, high = torch.linspace(-0.2, 0.2, 100), torch.linspace(0.5, 0.9, 100)
    mixed = torch.stack([low, high], dim=1).flatten()
    # Fitted to the low half all of the high one is above, and none the other way round.
    assert random_above_not(mixed, torch.zeros(200)) == pytest.approx(0.5)
    assert random_above_not(low, torch.zeros(100)) <= 0.1


def test_maps_correlate_cell_by_cell_of_what_the_model_saw() -> None:
    grid = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    window = Window(100.0, 0.0, 300.0, 200.0)  # the middle of 400 x 200

    def heatmap(cells: np.ndarray) -> Heatmap:
        return Heatmap(grid=cells, window=window, width=400, height=200, signed=True)

    expected = heatmap(grid)
    made = overlay.raw_map(expected)
    made[:, :100] = 9  # not seen, does not count
    assert correlation(made, expected) == pytest.approx(1.0)
    assert correlation(overlay.raw_map(heatmap(-grid)), expected) == pytest.approx(-1.0, abs=1e-3)
    other = correlation(overlay.raw_map(heatmap(cv2.flip(grid, 1))), expected)
    assert other == pytest.approx(np.corrcoef(grid[:, ::-1].ravel(), grid.ravel())[0, 1], abs=0.1)
    flat = overlay.raw_map(heatmap(np.ones_like(grid)))
    assert correlation(flat, expected) == 0.0
    assert correlation(flat, heatmap(np.ones_like(grid))) == 1.0


def test_ways_take_turns_and_ratios_are_told_with_their_quartiles() -> None:
    order: list[str] = []

    def take(name: str) -> float:
        order.append(name)
        return float(len(order))

    ways = {name: partial(take, name) for name in "ab"}
    assert in_turn(ways, rounds=3) == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert quartiles("x", [1.0, 2.0, 3.0]) == {"x": 2.0, "x_q1": 1.5, "x_q3": 2.5}


def test_a_bar_holds_up_to_its_own_value() -> None:
    assert Bar(at_least=0.8).beside(0.8) == "bar >= 0.8: holds"
    assert Bar(at_most=60).beside(61) == "bar <= 60: MISSED"


def test_absent_labels_are_the_same_each_time_and_never_those_shown() -> None:
    shown = torch.tensor([1] * 20 + [2, 3, 4, 5])
    drawn = []
    for seed in range(3):
        torch.manual_seed(seed)
        drawn.append(absent_labels(shown).tolist())
    assert drawn[0] == drawn[1] == drawn[2]
    assert all(absent != label for absent, label in zip(drawn[0], shown.tolist(), strict=True))
