"""Gradients of what is explained, asked for without touching any tensor's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gradients_of(explained: Tensor, at: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of the sum of `explained` at tensors of its graph, each shaped like its tensor.

    Works under `no_grad` and in inference mode too; the graph is kept for further targets.
    """
    along = torch.ones_like(explained)
    return torch.autograd.grad(explained, list(at), along, retain_graph=True)
