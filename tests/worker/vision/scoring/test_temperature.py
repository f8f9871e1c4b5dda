from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from worker.vision.scoring.temperature import (
    BINS,
    UNKNOWN_BELOW,
    coverage,
    fit,
    reliability,
    temperature,
)

CLASSES = 10


def honest(count: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits whose softmax is the truth's own distribution."""
    chance = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, CLASSES, generator=chance, dtype=torch.float64)
    return logits, logits.softmax(1).multinomial(1, generator=chance)[:, 0]


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.0, 3.0])
def test_the_factor_by_which_logits_were_spoilt_is_found(factor: float) -> None:
    logits, truth = honest(4000)
    assert temperature(factor * logits, truth) == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize("factor", [0.3, 4.0])
def test_scores_of_pictures_it_was_not_fitted_to_come_right(factor: float) -> None:
    logits, truth = honest(1000)
    found = fit(factor * logits, truth)
    assert found.helps
    assert found.pictures == 1000
    assert found.before.calibration_error > 0.1
    assert found.after.calibration_error < 0.04
    assert found.after.log_loss < found.before.log_loss
    # as good as the truth's own distribution, nearly
    assert found.after.log_loss == pytest.approx(reliability(logits, truth).log_loss, rel=0.01)


def test_no_label_passes_another() -> None:
    logits, truth = honest(100)
    found = fit(logits, truth)
    assert found.accuracy == (logits.argmax(1) == truth).double().mean()


def test_a_model_that_is_always_right_is_not_made_certain_of_everything() -> None:
    logits = torch.eye(CLASSES, dtype=torch.float64).repeat(8, 1)
    found = temperature(logits, logits.argmax(1))
    assert 0.05 < found < 1
    assert (logits / found).softmax(1).max() < 0.999


def test_truth_that_has_nothing_to_do_with_the_scores_does_not_help_to_fit() -> None:
    logits, _ = honest(60)
    truth = torch.randint(CLASSES, (60,), generator=torch.Generator().manual_seed(3))
    found = fit(logits, truth)
    assert found.temperature > 5  # next to nothing is known
    assert found.accuracy < 0.3


def test_a_calibration_error_is_how_far_scores_are_from_the_share_that_is_right() -> None:
    wide = math.log(9)  # two labels: 0.9 and 0.1
    logits = torch.tensor([[wide, 0.0]]).repeat(100, 1).double()
    truth = torch.tensor([0] * 70 + [1] * 30)
    found = reliability(logits, truth[torch.randperm(100, generator=torch.Generator())])
    assert len(found.bins) == BINS
    assert [score for score, _ in found.bins] == pytest.approx([0.9] * BINS)
    assert found.log_loss == pytest.approx(-0.7 * math.log(0.9) - 0.3 * math.log(0.1))
    in_order = reliability(logits, truth)
    # bins of 20 by the order they came in: 3.5 of them right, 1.5 wrong
    assert in_order.calibration_error == pytest.approx((0.1 * 3 + 0.4 * 1 + 0.9 * 1) / 5)


def test_a_limit_of_the_unknown_leaves_out_what_is_scored_below_it() -> None:
    logits = torch.tensor([[9.0, 0.0], [0.6, 0.0], [0.0, 0.1]]).double()
    rows = coverage(logits, torch.tensor([0, 1, 1]))
    assert [row.unknown_below for row in rows] == list(UNKNOWN_BELOW)
    assert [row.kept for row in rows] == pytest.approx([1, 1, 1 / 3, 1 / 3])
    assert [row.right for row in rows] == pytest.approx([2 / 3, 2 / 3, 1, 1])
    assert coverage(torch.zeros(2, 5).double(), torch.tensor([0, 1]))[-1].right is None
