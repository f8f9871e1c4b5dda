"""Capture of attention: q, k, v and chosen probabilities of any transformers model.

One attention function is registered with transformers' AttentionInterface. It computes
scaled dot product attention as `sdpa` does, or as `dense_attention` where that is faster;
while a `capture` is active it also hands q, k, v of the chosen layers to readers, which
compute explicitly only what a method needs (one CLS row instead of a whole tokens x tokens
matrix). `trace` keeps q, k, v and the output of all layers, for methods that read them after
the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from worker.contract.errors import ExplanationUnavailable
from worker.vision.explain import dense_attention

IMPLEMENTATION = "guanwu"
"""Our name in transformers' registry of attention functions."""


@dataclass(frozen=True, slots=True)
class AttentionTensors:
    """One layer's attention as the model called it.

    Attributes:
        query: (N, heads, tokens, head_dim).
        key: (N, key heads, keys, head_dim); fewer heads where queries share them.
        value: like `key`.
        mask: bool (True attends) or float (added), broadcastable to (N, heads, tokens,
            keys); None attends everywhere.
        bias: float position bias added to the scores, or None.
        scaling: factor of the scores.
        output: (N, tokens, heads, head_dim), set in a `trace` only.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    bias: Tensor | None
    scaling: float
    output: Tensor | None = None

    def probabilities(self, rows: slice = slice(None)) -> Tensor:
        """Softmax probabilities of the query tokens in `rows`: float32 (N, heads, rows, keys)."""
        shared = self.query.shape[1] // self.key.shape[1]
        key = self.key if shared == 1 else self.key.repeat_interleave(shared, dim=1)
        scores = (self.query[:, :, rows] @ key.transpose(2, 3)).float() * self.scaling
        for added in (self.bias, self.mask):
            scores = scores if added is None else _add(scores, added, rows)
        return scores.softmax(-1)


Reader = Callable[[AttentionTensors], Tensor]


class _Enough(Exception):
    """Everything asked for was read: ends a forward pass early, is not an error."""


@dataclass(slots=True)
class _Recorder:
    readers: Mapping[int, tuple[int, Reader]]  # by id() of the attention module
    read: dict[int, Tensor]
    stop: bool


@dataclass(slots=True)
class _Tracer:
    index: Mapping[int, int]  # by id() of the attention module
    kept: dict[int, AttentionTensors]


_scales: ContextVar[tuple[float, float, float] | None] = ContextVar("guanwu_scales", default=None)
_active: ContextVar[_Recorder | None] = ContextVar("guanwu_capture", default=None)
_tracing: ContextVar[tuple[_Tracer, ...]] = ContextVar("guanwu_trace", default=())
_probe: ContextVar[list[nn.Module] | None] = ContextVar("guanwu_probe", default=None)


@contextmanager
def capture(
    layers: Sequence[nn.Module], readers: Mapping[int, Reader], *, stop: bool = False
) -> Iterator[dict[int, Tensor]]:
    """Read attention in the forward passes of this thread inside the `with` block.

    Args:
        layers: the model's attention modules in call order, from `attach`.
        readers: by layer index, negative from the end; each gets the layer's `AttentionTensors`.
        stop: end the forward pass once all are read (the block is left at that point).

    Yields:
        what the readers returned, by the indices of `readers`.
    """
    wanted = {id(layers[index]): (index, reader) for index, reader in readers.items()}
    recorder = _Recorder(wanted, {}, stop)
    token = _active.set(recorder)
    try:
        yield recorder.read
    except _Enough:
        pass
    finally:
        _active.reset(token)


@contextmanager
def trace(layers: Sequence[nn.Module]) -> Iterator[dict[int, AttentionTensors]]:
    """Keep what every layer's attention got and gave in this thread's next forward pass.

    Tensors keep their graph, so gradients of the outputs can be asked for. Yields the
    layers' `AttentionTensors` by index, from 0.
    """
    tracer = _Tracer({id(layer): index for index, layer in enumerate(layers)}, {})
    token = _tracing.set((*_tracing.get(), tracer))
    try:
        yield tracer.kept
    finally:
        _tracing.reset(token)


@contextmanager
def scaled_gradients(*, query: float, key: float, value: float) -> Iterator[None]:
    """Multiply what flows back to q, k and v of this thread's attention inside the block."""
    token = _scales.set((query, key, value))
    try:
        yield
    finally:
        _scales.reset(token)


def attach(model: PreTrainedModel, probe: Callable[[], object]) -> tuple[nn.Module, ...]:
    """Route a model's attention through us; its attention modules in call order.

    `probe` runs one forward pass of the model; vision modules carry no layer index, so the
    order in which they call tells it.

    Raises:
        ExplanationUnavailable: the model computes attention by itself (e.g. Swin v2).
    """
    register()
    before = model.config._attn_implementation
    model.set_attn_implementation(IMPLEMENTATION)
    called: list[nn.Module] = []
    token = _probe.set(called)
    try:
        probe()
    except BaseException:
        model.set_attn_implementation(before)
        raise
    finally:
        _probe.reset(token)
    if not called:
        model.set_attn_implementation(before)
        raise ExplanationUnavailable(
            f"{type(model).__name__} does not call transformers' attention interface, "
            "so its attention cannot be read; use another model"
        )
    return tuple(dict.fromkeys(called))


def register() -> None:
    """Make our attention function known to transformers. Safe to call again."""
    ALL_ATTENTION_FUNCTIONS.register(IMPLEMENTATION, _attend)
    # without the mask function, models with padding get no mask at all, in silence
    ALL_MASK_ATTENTION_FUNCTIONS.register(IMPLEMENTATION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def prefix_rows(count: int) -> Reader:
    """A reader of the first `count` query tokens' probabilities: (N, heads, count, keys).

    They are no part of a graph.
    """

    def read(attended: AttentionTensors) -> Tensor:
        with torch.no_grad():
            return attended.probabilities(slice(0, count))

    return read


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if (called := _probe.get()) is not None:
        called.append(module)
    if (scales := _scales.get()) is not None:
        query, key, value = (
            backward_scaled(x, by) for x, by in zip((query, key, value), scales, strict=True)
        )
    scaling = kwargs.get("scaling") or query.shape[-1] ** -0.5
    seen = AttentionTensors(query, key, value, attention_mask, kwargs.get("position_bias"), scaling)
    _read(module, seen)
    result: tuple[Tensor, None]
    if _everywhere(module, seen, kwargs) and dense_attention.suits(query, key, value):
        result = dense_attention.attend(query, key, value, scaling=scaling), None
    else:
        result = ALL_ATTENTION_FUNCTIONS["sdpa"](
            module, query, key, value, attention_mask, **kwargs
        )
    for tracer in _tracing.get():
        if (index := tracer.index.get(id(module))) is not None:
            tracer.kept[index] = replace(seen, output=result[0])
    return result


def _everywhere(module: nn.Module, seen: AttentionTensors, kwargs: Mapping[str, Any]) -> bool:
    """Every token attends to every other, and all attention counts."""
    causal = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    plain = seen.mask is None and seen.bias is None and not kwargs.get("dropout")
    return plain and not causal and kwargs.get("cache") is None


def _read(module: nn.Module, seen: AttentionTensors) -> None:
    recorder = _active.get()
    if recorder is None or id(module) not in recorder.readers:
        return
    index, reader = recorder.readers[id(module)]
    recorder.read[index] = reader(seen)
    if recorder.stop and len(recorder.read) == len(recorder.readers):
        raise _Enough


class _BackwardScaled(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, by: float) -> Tensor:
        ctx.by = by
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.by, None


def backward_scaled(x: Tensor, by: float) -> Tensor:
    """`x` itself, whose gradient is multiplied by `by`."""
    scaled: Tensor = _BackwardScaled.apply(x, by)  # type: ignore[no-untyped-call]
    return scaled


def _add(scores: Tensor, added: Tensor, rows: slice) -> Tensor:
    part = added[..., rows, :] if added.shape[-2] > 1 else added
    if part.dtype == torch.bool:
        return scores.masked_fill(~part, float("-inf"))
    return scores + part
