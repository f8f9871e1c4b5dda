"""Cross-attention from a text to a picture, weighted by the matching score's gradient.

Chefer, Gur, Wolf 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal and
Encoder-Decoder Transformers": each layer's attention is weighed by its own gradient, and what
words read of patches is followed through the words' attention to each other. All layers count.
Li, Selvaraju, Gotmare, Joty, Xiong, Hoi 2021, "Align before Fuse", read one layer, picked by its
results on annotated pictures; which layer that is nobody can tell of a checkpoint without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from worker.vision.explain.gradients import gradients_of


@dataclass(frozen=True)
class Crossings:
    """Probabilities of a text encoder's layers, from the first, as part of a graph.

    Attributes:
        within: among the words, each (N, heads, words, words).
        across: from words to image tokens, each (N, heads, words, image tokens).
    """

    within: list[Tensor] = field(default_factory=list)
    across: list[Tensor] = field(default_factory=list)


def cross_attention(explained: Tensor, read: Crossings, *, grid: tuple[int, int]) -> Tensor:
    """Attention that reaches the first word, which the matching head reads, from each patch.

    With A' = mean over heads of (A * dt/dA)+ the row r of the first word is carried from the
    last layer back: patches get r A'_across, and r becomes r (I + A'_within).

    Args:
        explained: (N,), t; its graph is kept.
        read: image tokens end with the patches, row by row.
        grid: (gh, gw) patches.

    Returns:
        float32 (N, gh, gw), not negative.
    """
    gradients = gradients_of(explained, [*read.within, *read.across])
    with torch.no_grad():
        useful = [
            (attended * gradient).float().clamp_min_(0).mean(1)
            for attended, gradient in zip([*read.within, *read.across], gradients, strict=True)
        ]
        within, across = useful[: len(read.within)], useful[len(read.within) :]
        row = torch.zeros_like(within[0][:, :1])
        row[:, 0, 0] = 1.0
        reached = torch.zeros_like(across[0][:, :1])
        for among_words, to_patches in zip(reversed(within), reversed(across), strict=True):
            reached += row @ to_patches
            row = row + row @ among_words
    return reached[:, 0, -grid[0] * grid[1] :].reshape(-1, *grid)


@contextmanager
def read_crossings(
    embeddings: nn.Module, within: Sequence[nn.Module], across: Sequence[nn.Module]
) -> Iterator[Crossings]:
    """Attention of a text encoder in its forward pass inside the block.

    Args:
        embeddings: of the words; the graph begins behind it, and no weight is part of it.
        within: self-attention modules in call order, which give probabilities second.
        across: cross-attention modules likewise.
    """
    read = Crossings()

    def keep(seen: list[Tensor]) -> Callable[..., None]:
        return lambda _, __, output: seen.append(output[1])

    def begin(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return output.detach().requires_grad_()

    with ExitStack() as stack:
        hooks = [embeddings.register_forward_hook(begin)]
        hooks += [module.register_forward_hook(keep(read.within)) for module in within]
        hooks += [module.register_forward_hook(keep(read.across)) for module in across]
        for hook in hooks:
            stack.callback(hook.remove)
        yield read
