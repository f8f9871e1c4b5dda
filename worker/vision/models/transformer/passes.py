"""Forward passes of a transformer that keep a graph for gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from worker.vision.explain.capture import trace
from worker.vision.explain.substitution import substituted
from worker.vision.models.interface.model import GradientTrace
from worker.vision.models.interface.prototype_head import PrototypeHead
from worker.vision.models.transformer.architecture import Architecture


def run_whole(
    network: PreTrainedModel,
    x: Tensor,
    architecture: Architecture,
    *,
    at: Sequence[int],
    traced: bool = False,
) -> GradientTrace:
    """A pass whose graph begins at the input of the first of the blocks `at`.

    Nothing before it and no weight is part of the graph. `traced` keeps what every layer's
    attention got and gave.
    """
    with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
        hidden = stack.enter_context(_inputs(architecture.blocks, at, cut=(min(at),)))
        pooled = stack.enter_context(_head_input(network))
        attended = stack.enter_context(trace(architecture.layers if traced else ()))
        output = network(pixel_values=x)
        return GradientTrace(
            logits=getattr(output, "logits", None),
            embedding=pooled[0] if pooled else pooled_tokens(network, output),
            hidden=tuple(hidden[index] for index in at),
            attended=attended,
        )


def embedding(network: PreTrainedModel, x: Tensor) -> Tensor:
    """Input of the head, (N, channels); without a head the pooled tokens. No graph."""
    with torch.no_grad(), _head_input(network) as read:
        output = network(pixel_values=x)
    return read[0] if read else pooled_tokens(network, output)


def run_by_block(network: PreTrainedModel, x: Tensor, architecture: Architecture) -> GradientTrace:
    """A pass with a graph for each block alone, traced, and the logits after each block.

    What comes behind the last block runs once more, over the outputs of all blocks.
    """
    every = range(len(architecture.blocks))
    with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
        stack.enter_context(_inputs(architecture.blocks, every, cut=every))
        pooled = stack.enter_context(_head_input(network))
        outputs = stack.enter_context(_outputs(architecture.blocks))
        attended = stack.enter_context(trace(architecture.layers))
        output = network(pixel_values=x)
        stack.enter_context(_skipped(architecture.blocks, torch.cat(outputs)))
        by_layer = network(pixel_values=x[:1]).logits
        return GradientTrace(
            logits=output.logits,
            embedding=pooled[0] if pooled else pooled_tokens(network, output),
            attended=attended,
            by_layer=by_layer.view(len(every), len(x), -1),
        )


@contextmanager
def _inputs(
    blocks: Sequence[nn.Module], at: Sequence[int], *, cut: Sequence[int]
) -> Iterator[dict[int, Tensor]]:
    """Inputs of the blocks `at`; at those of `cut` a new graph begins."""
    seen: dict[int, Tensor] = {}

    def hook(index: int) -> Callable[..., Any]:
        def look(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
            tokens, *rest = args or (kwargs.pop("hidden_states"),)
            seen[index] = tokens.detach().requires_grad_() if index in cut else tokens
            return (seen[index], *rest), kwargs

        return look

    with ExitStack() as stack:
        for index in set(at):
            handle = blocks[index].register_forward_pre_hook(hook(index), with_kwargs=True)
            stack.callback(handle.remove)
        yield seen


@contextmanager
def _outputs(blocks: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    with ExitStack() as stack:
        for block in blocks:
            handle = block.register_forward_hook(lambda _, __, output: seen.append(output))
            stack.callback(handle.remove)
        yield seen


@contextmanager
def _head_input(network: nn.Module) -> Iterator[list[Tensor]]:
    """Input of the classifying layer; stays empty without one."""
    seen: list[Tensor] = []
    with ExitStack() as stack:
        for child in network.children():
            if isinstance(child, (nn.Linear, PrototypeHead)):
                handle = child.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
                stack.callback(handle.remove)
        yield seen


def pooled_tokens(network: PreTrainedModel, output: Any) -> Tensor:
    """Embedding of the picture in the output of a network without a head."""
    pooled: Tensor | None = getattr(output, "pooler_output", None)
    if pooled is None or hasattr(network, "pooler"):  # whose weights checkpoints often leave out
        pooled = output.last_hidden_state[:, 0]
    return pooled


@contextmanager
def _skipped(blocks: Sequence[nn.Module], tokens: Tensor) -> Iterator[None]:
    """Every block lets its input through; the last gives `tokens`."""
    with ExitStack() as stack:
        for block in blocks[:-1]:
            stack.enter_context(substituted(block, lambda hidden, *_, **__: hidden))
        stack.enter_context(substituted(blocks[-1], lambda *_, **__: tokens))
        yield
