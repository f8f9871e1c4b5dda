"""Shortlist: exact scores for the likeliest labels, ranks for the others."""

from __future__ import annotations

from torch import Tensor

SHORTLIST = 32
"""Labels that are matched, at most: of a base model at 384 px they cost 1.3 passes of the vision
half, where all of 万物词表 would cost 150."""

BEHIND = 100.0
"""How far behind the last of the shortlist the others follow: e^-100 of its odds."""


def ranked_behind(cosines: Tensor, shortlist: Tensor, odds: Tensor) -> Tensor:
    """Logits of all labels, float32 (N, labels): those of the shortlist are its log-odds, and the
    others follow far behind the last of them, in the order of their cosines.

    Args:
        cosines: (N, labels).
        shortlist: int64 (N, matched), indices of labels.
        odds: (N, matched), log-odds of theirs.
    """
    last = odds.amin(1, keepdim=True)
    return (last - BEHIND + cosines).scatter(1, shortlist, odds)
