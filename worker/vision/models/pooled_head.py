"""The end of a convolutional classifier: global average pooling and a linear reading of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class PooledHead:
    """Global average pooling, a layer norm or none, and one linear layer.

    Every logit is a sum over cells: `rows` says what each channel of a cell adds, and
    `offsets` what is in no cell. For features (N, channels, gh, gw),

        logit = mean over cells of (rows . features) + offset.

    Without a norm the rows are the layer's own. A norm subtracts the channels' mean, which is
    linear, and divides by their deviation, one number a picture: with that number as it is,
    the sum is exact, though each picture has rows of its own.
    """

    linear: nn.Linear
    norm: nn.LayerNorm | None = None

    def logits(self, features: Tensor) -> Tensor:
        """(N, channels, gh, gw) -> (N, classes)."""
        pooled = features.mean((2, 3))
        logits: Tensor = self.linear(pooled if self.norm is None else self.norm(pooled))
        return logits

    def rows(self, features: Tensor, classes: Tensor) -> Tensor:
        """What a channel of a cell adds to the logit of its picture's class (N,).

        Returns:
            float32 (N, channels).
        """
        weight = self.linear.weight[classes].float()
        if self.norm is None:
            return weight
        scaled = weight * self.norm.weight.float()
        pooled = features.float().mean((2, 3))
        deviation = (pooled.var(1, correction=0, keepdim=True) + self.norm.eps).sqrt()
        return (scaled - scaled.mean(1, keepdim=True)) / deviation

    def offsets(self, classes: Tensor) -> Tensor:
        """The part of each class's logit that no cell adds: float32, shaped as `classes`."""
        offset = self.linear.bias[classes].float()
        if self.norm is None:
            return offset
        return offset + self.linear.weight[classes].float() @ self.norm.bias.float()
