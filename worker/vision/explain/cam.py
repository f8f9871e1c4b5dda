"""Class activation maps, exact for global average pooling and one linear layer.

Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning Deep Features for Discriminative
Localization".
"""

from __future__ import annotations

import torch
from torch import Tensor


def class_activation(features: Tensor, weight: Tensor) -> Tensor:
    """Share of each cell in a class's logit.

    For logit = weight . mean(features) + bias, the map's mean plus the bias is the logit:
    nothing is normalised away.

    Args:
        features: (N, channels, gh, gw), the maps before the pooling.
        weight: (N, channels), the linear layer's row of each picture's class.

    Returns:
        float32 (N, gh, gw), signed; positive speaks for the class.
    """
    return torch.einsum("nchw,nc->nhw", features.float(), weight.float())
