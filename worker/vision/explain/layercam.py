"""Layer class activation, from several depths of a convolutional network as one fine map.

Jiang, Zhang, Hou, Cheng, Wei 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for
Localization". Each cell weighs each channel by its own positive gradient, so that layers far
from the end still have maps; they are read where channels are not negative.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from worker.vision.explain.gradients import gradients_of


def layer_activation(
    explained: Tensor, layers: Sequence[Tensor], *, grid: tuple[int, int]
) -> Tensor:
    """Sum of LayerCAM maps of a label at several depths.

    Args:
        explained: (N,), computed from `layers`; its graph is kept for further targets.
        layers: activations, each (N, channels, h, w), not negative.
        grid: (gh, gw) of the map; each depth is brought to it.

    Returns:
        float32 (N, gh, gw), signed; the sum of z-scored depths, so 0 is the mean cell.
    """
    gradients = gradients_of(explained, layers)
    total = torch.zeros(len(explained), *grid, device=explained.device)
    for layer, gradient in zip(layers, gradients, strict=True):
        activation = (layer.detach() * gradient.clamp_min(0)).float().sum(1, keepdim=True)
        fine = functional.interpolate(activation, grid, mode="bilinear", align_corners=False)
        total += _z_scored(fine[:, 0])
    return total


def _z_scored(maps: Tensor) -> Tensor:
    """Each map with mean 0 and deviation 1; one without any difference is 0."""
    away = maps - maps.mean((1, 2), keepdim=True)
    deviation = away.square().mean((1, 2), keepdim=True).sqrt()
    return away / deviation.clamp_min(torch.finfo(torch.float32).tiny)
