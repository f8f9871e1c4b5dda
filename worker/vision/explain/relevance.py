"""Why this label: AttnLRP's relevance of the tokens inside the network, on a contrast.

Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin, Samek 2024, "AttnLRP: Attention-Aware
Layer-Wise Relevance Propagation for Transformers". Two things differ from the paper. What is
explained is not the label's logit but how far it stands above all others, as in Gu, Yang,
Tresp 2018, "Understanding Individual Decisions of CNNs via Contrastive Backpropagation": what
speaks for every label cancels. And relevance is read where tokens still are their patches but
already mean something, at a quarter and at half of the depth, not at the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.vision.explain.gradients import gradients_of


def depths(blocks: int) -> tuple[int, int]:
    """The blocks, from 0, at whose inputs relevance is read."""
    return blocks // 4, blocks // 2


def contrast(logits: Tensor, classes: Tensor, against: Tensor | None = None) -> Tensor:
    """Contrast of each picture's label with the others, in logits: (..., N).

    Args:
        logits: (..., N, classes).
        classes: (N,), the labels to explain.
        against: (N,), each the one other label that counts; None is all, by logsumexp.
    """
    chosen = logit(logits, classes, against)
    if against is not None or logits.shape[-1] == 1:
        return chosen
    others = logits.scatter(-1, _index(logits, classes), float("-inf"))
    return chosen - others.logsumexp(-1)


def logit(logits: Tensor, classes: Tensor, against: Tensor | None = None) -> Tensor:
    """The label's logit, less the one of `against`: arguments and result as above."""
    chosen = logits.gather(-1, _index(logits, classes))[..., 0]
    return chosen if against is None else chosen - logit(logits, against)


def relevance(explained: Tensor, hidden: Sequence[Tensor], *, grid: tuple[int, int]) -> Tensor:
    """Share of each patch in `explained`, in deviations from the mean patch.

    Args:
        explained: (N,), computed from `hidden` under the rules of `attn_lrp`; its graph is
            kept for further targets.
        hidden: token streams, each (N, tokens, channels), the patches last, row by row.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), signed; the sum over `hidden` of z-scored maps, so 0 is the mean.
    """
    gradients = gradients_of(explained, hidden)
    patches = grid[0] * grid[1]
    total = sum(
        _z_scored((tokens.detach() * gradient).float().sum(-1)[:, -patches:])
        for tokens, gradient in zip(hidden, gradients, strict=True)
    )
    return torch.as_tensor(total).view(-1, *grid)


def _index(logits: Tensor, classes: Tensor) -> Tensor:
    return classes[:, None].expand(*logits.shape[:-1], 1)


def _z_scored(values: Tensor) -> Tensor:
    """Each row with mean 0 and deviation 1; a row without any difference is 0."""
    away = values - values.mean(1, keepdim=True)
    deviation = away.square().mean(1, keepdim=True).sqrt()
    return away / deviation.clamp_min(torch.finfo(torch.float32).tiny)
