"""Transformer with a head of prototypes. All else is the network's own, not a copy."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from worker.vision.models.interface.prototype_head import PrototypeHead
from worker.vision.models.transformer.passes import pooled_tokens
from worker.vision.scoring.prototypes import Prototypes


class HeadedBackbone(nn.Module):
    """A network that gives no logits, and a head: pixels (N, 3, h, w) -> logits (N, labels)."""

    def __init__(self, backbone: PreTrainedModel, head: PrototypeHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        output = self.backbone(pixel_values=pixel_values)
        pooled = pooled_tokens(self.backbone, output)
        return SimpleNamespace(logits=self.head(pooled), pooler_output=pooled)


def with_prototypes(
    network: PreTrainedModel, prototypes: Prototypes, device: torch.device
) -> PreTrainedModel:
    """The network with another head. Where it has one linear layer for a head, what that layer
    reads is scored; else its pooled tokens."""
    head = PrototypeHead(prototypes, device)
    if isinstance(network, HeadedBackbone):
        return cast(PreTrainedModel, HeadedBackbone(network.backbone, head))
    heads = [n for n, m in network.named_children() if isinstance(m, (nn.Linear, PrototypeHead))]
    if len(heads) != 1:
        backbone = cast(PreTrainedModel, network.base_model) if heads else network
        return cast(PreTrainedModel, HeadedBackbone(backbone, head))
    other = copy.copy(network)
    other.__dict__["_modules"] = {**network.__dict__["_modules"], heads[0]: head}
    return other
