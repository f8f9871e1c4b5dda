"""Attention by two batched products, which is faster than torch's on some processors."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

MOST_BYTES = 16 * 2**20
"""Of one picture's scores: for longer sequences flash attention saves the memory."""

AT_A_TIME_BYTES = 4 * 2**20
"""Of scores: few enough to stay in the processor's caches."""


def suits(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether `attend` is the faster way for these, each (N, heads, tokens, head_dim).

    torch's flash attention multiplies bfloat16 in small blocks, at a fourth of what the
    processor can do, unless it has tiles (AMX). Where a graph is wanted or scores would be
    large, flash is better.
    """
    graph = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    return (
        query.device.type == "cpu"
        and query.dtype == torch.bfloat16
        and query.shape[1] == key.shape[1]
        and _scores_bytes(query, key) <= MOST_BYTES
        and not graph
        and not _has_tiles()
    )


def attend(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
    """softmax(query key^T * scaling) value, without a mask: (N, tokens, heads, head_dim).

    Args:
        query: (N, heads, tokens, head_dim).
        key: (N, heads, keys, head_dim).
        value: like `key`.
        scaling: a power of two loses no bit of the query.
    """
    given = query.new_empty(query.shape[0], query.shape[2], query.shape[1], value.shape[3])
    at_a_time = max(1, AT_A_TIME_BYTES // _scores_bytes(query, key))
    for start in range(0, len(query), at_a_time):
        part = slice(start, start + at_a_time)
        scores = (query[part] * scaling) @ key[part].transpose(2, 3)
        given[part] = (scores.softmax(-1) @ value[part]).transpose(1, 2)
    return given


def _scores_bytes(query: Tensor, key: Tensor) -> int:
    """Of one picture."""
    return query.shape[1] * query.shape[2] * key.shape[2] * query.element_size()


@cache
def _has_tiles() -> bool:
    return bool(torch.cpu.get_capabilities().get("amx_tile"))
