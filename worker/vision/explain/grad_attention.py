"""Attention that a label's logit depends on, through all layers.

Chefer, Gur, Wolf 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal and
Encoder-Decoder Transformers", for self-attention alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.vision.explain.capture import AttentionTensors
from worker.vision.explain.gradients import gradients_of


def attention_gradient(layer: AttentionTensors, gradient: Tensor) -> Tensor:
    """Gradients of the probabilities from those of what attention gave.

    The output is probabilities times values, so the probabilities themselves need no part in
    the graph.

    Args:
        layer: of a `trace`.
        gradient: like `layer.output`, (N, tokens, heads, head_dim).

    Returns:
        float32 (N, heads, tokens, keys).
    """
    shared = layer.query.shape[1] // layer.value.shape[1]
    value = layer.value.detach()
    value = value if shared == 1 else value.repeat_interleave(shared, dim=1)
    return (gradient.transpose(1, 2) @ value.transpose(2, 3)).float()


def grad_attention(
    explained: Tensor, attended: Sequence[AttentionTensors], *, grid: tuple[int, int]
) -> Tensor:
    """The CLS row of the product of I + mean over heads of (A * dt/dA)+ over the layers.

    Args:
        explained: (N,), t; its graph is kept.
        attended: every layer's of a `trace`, from the first; the patches come last.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), not negative.
    """
    outputs = [_output(layer) for layer in attended]
    gradients = gradients_of(explained, outputs)
    row = torch.zeros(attended[0].query.shape[0], attended[0].query.shape[2])
    row = row.to(explained.device)
    row[:, 0] = 1.0
    for layer, gradient in zip(reversed(attended), reversed(gradients), strict=True):
        with torch.no_grad():
            useful = attention_gradient(layer, gradient).mul_(layer.probabilities())
            row = row + (row[:, None] @ useful.clamp_min_(0).mean(1))[:, 0]
    return row[:, -grid[0] * grid[1] :].reshape(-1, *grid)


def _output(layer: AttentionTensors) -> Tensor:
    assert layer.output is not None, "attended outside of a trace"
    return layer.output
