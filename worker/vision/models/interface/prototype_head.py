"""Classifier head of prototypes, in place of a trained one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from worker.contract.errors import CheckpointInvalid
from worker.vision.explain.unit_length import UnitLength
from worker.vision.scoring.prototypes import Prototypes


class PrototypeHead(nn.Module):
    """Pooled features (N, channels) -> logits (N, labels), float32: scale * cosine.

    Half a number format would tie labels, as `ZeroShotNetwork.likeness` says.

    Attributes:
        weight: scale * directions, float32 (labels, channels).
    """

    weight: Tensor

    def __init__(self, prototypes: Prototypes, device: torch.device) -> None:
        super().__init__()
        self.unit_length = UnitLength()
        with torch.inference_mode(False):  # or no gradient could pass it
            weight = (prototypes.directions.float() * prototypes.scale).to(device)
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        if features.shape[-1] != self.weight.shape[1]:
            raise CheckpointInvalid(
                f"prototypes of {self.weight.shape[1]} channels before a model of "
                f"{features.shape[-1]}: they were made with another"
            )
        logits: Tensor = self.unit_length(features.float()) @ self.weight.T
        return logits
