"""Attention of a pooling head: one learned query over the patches.

Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training" end in such a head (after Lee
et al. 2019, "Set Transformer"). It says where the embedding comes from, whatever was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def pooling_attention(weights: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """The mean over the heads.

    Args:
        weights: probabilities (N, heads, 1, patches), the patches row by row.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), not negative.
    """
    return weights.float().mean((1, 2)).reshape(-1, *grid)


@contextmanager
def read_pooling(head: nn.MultiheadAttention | None) -> Iterator[list[Tensor]]:
    """Probabilities (N, heads, queries, tokens) of a head in each forward pass inside the
    block; they are no part of a graph. None reads nothing."""
    read: list[Tensor] = []

    def look(module: nn.Module, args: tuple[Tensor, ...], _: object) -> None:
        assert isinstance(module, nn.MultiheadAttention)
        handle.remove()  # or reading would be read
        with torch.no_grad():
            _, weights = module(*args[:3], need_weights=True, average_attn_weights=False)
        read.append(weights)

    if head is None:
        yield read
        return
    handle = head.register_forward_hook(look)
    try:
        yield read
    finally:
        handle.remove()


def pooling_head(network: nn.Module) -> nn.MultiheadAttention | None:
    """A model's pooling head; None if it has none."""
    return next((m for m in network.modules() if isinstance(m, nn.MultiheadAttention)), None)
