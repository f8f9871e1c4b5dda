"""LeGrad: attention gradients of a label's logit, over all layers.

Bousselham, Boggust, Chaybouti, Strobelt, Kuehne 2024, "LeGrad: An Explainability Method for
Vision Transformers via Feature Formation Sensitivity".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.vision.explain.capture import AttentionTensors
from worker.vision.explain.grad_attention import attention_gradient
from worker.vision.explain.gradients import gradients_of


def legrad(
    explained: Tensor, attended: Sequence[AttentionTensors], *, grid: tuple[int, int]
) -> Tensor:
    """(ds_l/dA_l)+ averaged over heads, query tokens and layers.

    Args:
        explained: (layers, N), s_l: what is explained, as if block l were the last, in a graph
            that reaches back through block l alone; the graph is kept.
        attended: every layer's of a `trace`, from the first; the patches come last.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), not negative.
    """
    outputs = [layer.output for layer in attended if layer.output is not None]
    gradients = gradients_of(explained, outputs)
    total = torch.zeros(len(explained[0]), grid[0] * grid[1], device=explained.device)
    for layer, gradient in zip(attended, gradients, strict=True):
        with torch.no_grad():
            raised = attention_gradient(layer, gradient).clamp_min_(0)
            total += raised.mean((1, 2))[:, -total.shape[1] :]
    return (total / len(attended)).view(-1, *grid)
