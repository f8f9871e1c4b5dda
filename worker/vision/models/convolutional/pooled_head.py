"""Head of a convolutional classifier: global average pooling and a linear layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from worker.vision.models.interface.prototype_head import PrototypeHead
from worker.vision.scoring.prototypes import Prototypes


@dataclass(frozen=True, kw_only=True)
class PooledHead:
    """Global average pooling, a layer norm or none, and one linear layer, or prototypes.

    Every logit is a sum over cells: `rows` says what each channel of a cell adds, and
    `offsets` what is in no cell. For features (N, channels, gh, gw),

        logit = mean over cells of (rows . features) + offset.

    Without a norm the rows are the layer's own. A norm subtracts the channels' mean, which is
    linear, and divides by their deviation, one number a picture: with that number as it is,
    the sum is exact, though each picture has rows of its own. Prototypes divide by the length
    of what they read, another such number.
    """

    linear: nn.Linear | PrototypeHead
    norm: nn.LayerNorm | None = None

    def with_prototypes(self, prototypes: Prototypes, device: torch.device) -> PooledHead:
        return replace(self, linear=PrototypeHead(prototypes, device))

    def embedding(self, features: Tensor) -> Tensor:
        """Input of the layer: (N, channels, gh, gw) -> (N, channels)."""
        pooled = features.mean((2, 3))
        return pooled if self.norm is None else self.norm(pooled)

    def logits(self, features: Tensor) -> Tensor:
        """(N, channels, gh, gw) -> (N, classes)."""
        logits: Tensor = self.linear(self.embedding(features))
        return logits

    def rows(self, features: Tensor, classes: Tensor) -> Tensor:
        """Weight of each channel of a cell in the logit of its picture's class (N,).

        Returns:
            float32 (N, channels).
        """
        weight = self._weight(features, classes)
        if self.norm is None:
            return weight
        scaled = weight * self.norm.weight.float()
        pooled = features.float().mean((2, 3))
        deviation = (pooled.var(1, correction=0, keepdim=True) + self.norm.eps).sqrt()
        return (scaled - scaled.mean(1, keepdim=True)) / deviation

    def offsets(self, features: Tensor, classes: Tensor) -> Tensor:
        """The part of the logit of each picture's class (N,) that no cell adds: float32 (N,)."""
        linear = self.linear
        offset = torch.zeros(len(classes), device=classes.device)
        if isinstance(linear, nn.Linear):
            offset = linear.bias[classes].float()
        if self.norm is None:
            return offset
        return offset + self._weight(features, classes) @ self.norm.bias.float()

    def _weight(self, features: Tensor, classes: Tensor) -> Tensor:
        """Weights of the layer, float32 (N, channels)."""
        weight = self.linear.weight[classes].float()
        if isinstance(self.linear, nn.Linear):
            return weight
        length: Tensor = self.embedding(features).float().norm(dim=1, keepdim=True)
        return weight / length
