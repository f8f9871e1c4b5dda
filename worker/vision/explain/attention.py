"""CLS attention of one layer of a vision transformer.

Caron, Touvron, Misra, Jegou, Mairal, Bojanowski, Joulin 2021, "Emerging Properties in
Self-Supervised Vision Transformers". It explains no label: it is what the backbone finds
worth reading.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Heads = Literal["mean", "max"] | int
"""How heads become one map: their mean, their maximum, or one of them, from 0."""


def cls_attention(probabilities: Tensor, *, grid: tuple[int, int], heads: Heads = "mean") -> Tensor:
    """CLS attention to the patches.

    Args:
        probabilities: (N, heads, prefix tokens, tokens) of the layer, rows of the prefix
            tokens, CLS first; the patches come last, row by row.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), not negative; of a mean or of one head the sum is below 1 by
        what CLS gives to the prefix tokens.
    """
    every = head_grid(probabilities, grid=grid)
    if heads == "mean":
        return every.mean(1)
    return every.amax(1) if heads == "max" else every[:, heads]


def head_grid(probabilities: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """CLS attention of every head, float32 (N, heads, gh, gw); arguments as above."""
    rows = probabilities[:, :, 0, -grid[0] * grid[1] :].float()
    return rows.reshape(*rows.shape[:2], *grid)
