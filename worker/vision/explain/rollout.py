"""Attention through all layers: how much of each patch flows into the CLS token.

Abnar, Zuidema 2020, "Quantifying Attention Flow in Transformers". It explains no label.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from worker.vision.explain.capture import AttentionTensors


def rollout(attended: Sequence[AttentionTensors], *, grid: tuple[int, int]) -> Tensor:
    """The CLS row of the product of (A + I)/2 over the layers, A the mean over heads.

    From the last layer back it is a vector times a matrix per layer, and only one layer's
    probabilities exist at a time.

    Args:
        attended: every layer's, from the first; CLS is token 0, the patches come last.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), not negative.
    """
    last = attended[-1].probabilities(slice(0, 1)).mean(1)[:, 0]  # (N, tokens)
    row = last / 2
    row[:, 0] += 0.5
    for layer in reversed(attended[:-1]):
        mean = layer.probabilities().mean(1)
        row = (row + (row[:, None] @ mean)[:, 0]) / 2
    return row[:, -grid[0] * grid[1] :].reshape(-1, *grid)
