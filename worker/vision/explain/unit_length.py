"""Embeddings at length 1, as a module: so that rules of explanation can find it."""

from __future__ import annotations

from torch import Tensor, nn


class UnitLength(nn.Module):
    """x / |x| over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        length: Tensor = x.norm(dim=-1, keepdim=True)
        return x / length

    @staticmethod
    def with_constant_length(x: Tensor) -> Tensor:
        """The same value; for the gradient the length is a constant, as a LayerNorm's deviation
        is in AttnLRP."""
        length: Tensor = x.detach().norm(dim=-1, keepdim=True)
        return x / length
