"""How unsure scores leave a reader who knows the best of them only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def least_entropy(scores: Sequence[float]) -> float:
    """The least entropy, in nats, of any distribution that has these scores as its best.

    What they leave of 1 is spread over as few others as may be: none is above the last score.
    0 for one label that is certain, log(n) for n that are equal.
    """
    known = [score for score in scores if score > 0]
    if not known:
        return 0.0
    rest = max(0.0, 1.0 - sum(known))
    return -sum(score * math.log(score) for score in known) - rest * math.log(min(known))


def disagreement(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How far apart two models' scores are, by label: 0 the same, 1 nothing in common.

    Total variation, where a label that a model does not list has none of its score, and what
    both leave unlisted counts as shared.
    """
    shared = sum(min(score, other.get(label, 0.0)) for label, score in one.items())
    unlisted = min(1.0 - sum(one.values()), 1.0 - sum(other.values()))
    return min(1.0, max(0.0, 1.0 - shared - max(0.0, unlisted)))
