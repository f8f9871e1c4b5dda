"""The rules of AttnLRP, as changed gradients: values stay, what flows back is relevance.

Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin, Samek 2024, "AttnLRP: Attention-Aware
Layer-Wise Relevance Propagation for Transformers". With these rules the product of a
layer's input and its gradient is its relevance; whatever is linear needs no rule.

- LayerNorm: the deviation counts as a constant.
- An embedding brought to length 1: the length counts as a constant.
- An activation f: f(x)/x counts as a constant.
- softmax(q k) v: a product shares relevance equally, so v gets half and q and k a quarter.
- A gated MLP's product likewise: each factor gets half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from transformers import activations

from worker.vision.explain.capture import backward_scaled, scaled_gradients
from worker.vision.explain.substitution import substituted
from worker.vision.explain.unit_length import UnitLength

_COMPOSED = (
    activations.GELUActivation,
    activations.GELUTanh,
    activations.NewGELUActivation,
    activations.FastGELUActivation,
    activations.QuickGELUActivation,
    activations.AccurateGELUActivation,
    activations.SiLUActivation,
    nn.GELU,
    nn.SiLU,
)
"""Activations of one input; ReLU needs no rule, its gradient is relu(x)/x already."""


@contextmanager
def attn_lrp(network: nn.Module) -> Iterator[None]:
    """Make gradients of forward passes inside the `with` block follow AttnLRP's rules.

    Backward passes may run after it. Modules are changed for the time of the block only,
    by a `forward` of their own; they are as before even after an exception.
    """
    with ExitStack() as stack:
        for module in network.modules():
            if (forward := _rule(module)) is not None:
                stack.enter_context(substituted(module, forward))
            if (gated := _after_gate(module)) is not None:
                handle = gated.register_forward_pre_hook(_halved)
                stack.callback(handle.remove)
        stack.enter_context(scaled_gradients(query=0.25, key=0.25, value=0.5))
        yield


def _rule(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    if isinstance(module, nn.LayerNorm):
        return lambda x: _Normalised.apply(x, module)  # type: ignore[no-untyped-call]
    if isinstance(module, UnitLength):
        return UnitLength.with_constant_length
    if isinstance(module, _COMPOSED):
        activation = module.forward
        return lambda x: _Activated.apply(x, activation)  # type: ignore[no-untyped-call]
    return None


def _after_gate(module: nn.Module) -> nn.Module | None:
    """The layer that gets the product of a gated MLP."""
    if hasattr(module, "gate_proj") and hasattr(module, "up_proj"):
        return getattr(module, "down_proj", None)
    return None


def _halved(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (backward_scaled(inputs[0], 0.5), *inputs[1:])


class _Normalised(Function):
    """LayerNorm whose deviation is a constant for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: nn.LayerNorm) -> Tensor:
        out, _, scale = torch.native_layer_norm(
            x, norm.normalized_shape, norm.weight, norm.bias, norm.eps
        )
        ctx.save_for_backward(scale, norm.weight)
        ctx.dims = tuple(range(-len(norm.normalized_shape), 0))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        scale, weight = ctx.saved_tensors
        gradient = gradients[0] if weight is None else gradients[0] * weight
        gradient = gradient - gradient.mean(ctx.dims, keepdim=True)
        return gradient * scale, None


class _Activated(Function):
    """An activation f as the product of x and the constant f(x)/x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        out = activation(x)
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, out = ctx.saved_tensors
        ratio = (out / x).nan_to_num_(0.5)  # 0/0: all of ours pass the origin with slope 1/2
        return ratio.mul_(gradients[0]), None
