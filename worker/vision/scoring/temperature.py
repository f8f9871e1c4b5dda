"""Temperature scaling: of the labels scored 0.8, eight in ten are right.

One temperature for a model and a label set, p = softmax(logits / T), after Guo, Pleiss, Sun,
Weinberger 2017, "On Calibration of Modern Neural Networks". It moves no label past another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

FOLDS = 5
BINS = 5  # of equally many pictures each
UNKNOWN_BELOW = (0.3, 0.5, 0.7, 0.9)
COLDEST, HOTTEST = 0.01, 100.0
_STEPS = 50  # of bisection, beyond a double's precision
_SEED = 20260


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Reliability of scores.

    Attributes:
        calibration_error: mean distance of first labels' scores from the share of them that
            is right, over `BINS` bins of equally many pictures; 0 to 1.
        log_loss: -log p(true label), mean of all pictures, in nats.
        bins: (mean score, share right) of each bin, least certain first.
    """

    calibration_error: float
    log_loss: float
    bins: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Effect of `unknown_below`: the share of pictures that keep a label, and the share of those
    that is right; None where none is left."""

    unknown_below: float
    kept: float
    right: float | None


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A temperature and what it does.

    Attributes:
        temperature: fitted to all pictures; below 1 the model was too modest.
        accuracy: share of pictures whose first label is true.
        before: of the scores as the network gives them.
        after: of scores whose temperature was fitted to other pictures (cross-fitting).
        coverage: by those scores, for each of `UNKNOWN_BELOW`.
    """

    temperature: float
    pictures: int
    accuracy: float
    before: Reliability
    after: Reliability
    coverage: tuple[Coverage, ...]

    @property
    def helps(self) -> bool:
        """Pictures that it was not fitted to are scored no worse."""
        return self.after.log_loss <= self.before.log_loss


def fit(logits: Tensor, truth: Tensor) -> Fitted:
    """Fit a temperature and measure it by `FOLDS`-fold cross-fitting.

    Args:
        logits: (N, classes), finite.
        truth: int64 (N,), the true class of each.
    """
    logits = logits.double().cpu()
    chance = torch.Generator().manual_seed(_SEED)
    refitted = torch.empty_like(logits)
    for fold in torch.randperm(len(truth), generator=chance).tensor_split(FOLDS):
        others = torch.ones(len(truth), dtype=torch.bool)
        others[fold] = False
        refitted[fold] = logits[fold] / temperature(logits[others], truth[others])
    return Fitted(
        temperature=temperature(logits, truth),
        pictures=len(truth),
        accuracy=float((logits.argmax(1) == truth).double().mean()),
        before=reliability(logits, truth),
        after=reliability(refitted, truth),
        coverage=coverage(refitted, truth),
    )


def temperature(logits: Tensor, truth: Tensor) -> float:
    """The T with the least log loss of softmax(logits / T), float64 (N, classes) and (N,).

    A share of 1 / (N + 2) of every truth is spread over all classes, as in Platt 1999,
    "Probabilistic Outputs for Support Vector Machines": without, a model that is right on all
    of few pictures would be made certain of everything.
    """
    spread = 1 / (len(truth) + 2)
    of_truth = logits.gather(1, truth[:, None])[:, 0]
    wanted = ((1 - spread) * of_truth + spread * logits.mean(1)).mean()
    low, high = math.log(1 / HOTTEST), math.log(1 / COLDEST)
    for _ in range(_STEPS):  # the loss is convex in 1 / T; where its slope is 0
        middle = (low + high) / 2
        p = (logits * math.exp(middle)).softmax(1)
        too_cold = (p * logits).sum(1).mean() > wanted
        low, high = (low, middle) if too_cold else (middle, high)
    return math.exp(-low)


def reliability(logits: Tensor, truth: Tensor) -> Reliability:
    """Of softmax(logits), (N, classes), against the true classes (N,)."""
    score, right = _first_labels(logits, truth)
    parts = score.argsort(stable=True).tensor_split(BINS)
    bins = [(float(score[part].mean()), float(right[part].mean())) for part in parts]
    return Reliability(
        calibration_error=_weighted_distance(bins, [len(part) for part in parts]),
        log_loss=float(functional.cross_entropy(logits, truth)),
        bins=tuple(bins),
    )


def coverage(logits: Tensor, truth: Tensor) -> tuple[Coverage, ...]:
    """Coverage at each of `UNKNOWN_BELOW`; of softmax(logits), as `reliability`."""
    score, right = _first_labels(logits, truth)
    kept = [(limit, score >= limit) for limit in UNKNOWN_BELOW]
    return tuple(
        Coverage(
            unknown_below=limit,
            kept=float(known.double().mean()),
            right=float(right[known].mean()) if known.any() else None,
        )
        for limit, known in kept
    )


def _first_labels(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The score of each picture's first label, and 1 where it is the true one, 0 elsewhere."""
    score, label = logits.softmax(1).max(1)
    return score, (label == truth).to(score.dtype)


def _weighted_distance(bins: Sequence[tuple[float, float]], sizes: Sequence[int]) -> float:
    apart = (abs(score - right) * n for (score, right), n in zip(bins, sizes, strict=True))
    return sum(apart) / sum(sizes)
