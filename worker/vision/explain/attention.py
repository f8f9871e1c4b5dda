"""Where the CLS token of a vision transformer looks: attention of one layer, head mean.

Caron, Touvron, Misra, Jegou, Mairal, Bojanowski, Joulin 2021, "Emerging Properties in
Self-Supervised Vision Transformers". It explains no label: it is what the backbone finds
worth reading.
"""

from __future__ import annotations

from torch import Tensor


def cls_attention(probabilities: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """CLS attention to the patches, averaged over heads.

    Args:
        probabilities: (N, heads, prefix tokens, tokens) of the layer, rows of the prefix
            tokens, CLS first; the patches come last, row by row.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), not negative; the sum is below 1 by what CLS gives to the
        prefix tokens.
    """
    patches = grid[0] * grid[1]
    row: Tensor = probabilities[:, :, 0, -patches:].float().mean(1)
    return row.reshape(-1, *grid)
