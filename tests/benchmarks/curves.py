"""Insertion and deletion: how soon the model knows, and how soon it forgets, what it saw.

Petsiuk, Das, Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box
Models". A map ranks the patches; p(true label) is drawn over the share of patches that are
kept, best first, and over the share that is taken away, best first. The areas under both
lines, each divided by the range it covers, and their difference: near 1 for a map that names
what counts, 0 for one that knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from worker.vision.faithfulness import ranked
from worker.vision.models.occlusion import gaussian_blur
from worker.vision.models.vit import VisionTransformer

KEPT = (6, 13, 26, 64, 128)
DROPPED = (52, 128, 192, 230)
SHARES = (0.05, 0.15, 0.3, 0.5, 0.75)
BLUR_SIGMA_PX = 12.0

Ask = Callable[[Tensor], Tensor]
"""bool cells (N, gh, gw) that stay -> p(true label) (N,)."""


def by_tokens(model: VisionTransformer, pixels: Tensor, classes: Tensor, grid: Tensor) -> Tensor:
    """Insertion minus deletion by dropping tokens, float32 (N,).

    Args:
        pixels: uint8 (N, h, w, 3).
        classes: (N,), the true labels.
        grid: (N, gh, gw), higher is better.
    """

    def ask(cells: Tensor) -> Tensor:
        return _probability(model.show(pixels, cells), classes)

    return difference(ask, grid, kept=KEPT, dropped=DROPPED)


def by_pixels(model: VisionTransformer, pixels: Tensor, classes: Tensor, grid: Tensor) -> Tensor:
    """The same in pixels, float32 (N,): patches are replaced by the mean colour of the model's
    training and by a blur, and the two results averaged."""
    x = model.normalised(pixels)
    cells = grid[0].numel()
    counts = [max(1, round(share * cells)) for share in SHARES]
    blurred = gaussian_blur(x, sigma_px=BLUR_SIGMA_PX)
    results = []
    for filling in (torch.zeros_like(x), blurred):

        def ask(stay: Tensor, filling: Tensor = filling) -> Tensor:
            mask = torch.nn.functional.interpolate(stay[:, None].float(), x.shape[2:])
            output = model.network(pixel_values=torch.lerp(filling, x, mask))
            return _probability(output.logits.float(), classes)

        results.append(difference(ask, grid, kept=counts, dropped=counts))
    return torch.stack(results).mean(0)


def difference(ask: Ask, grid: Tensor, *, kept: Sequence[int], dropped: Sequence[int]) -> Tensor:
    """Area while keeping the best minus area while dropping the best, float32 (N,)."""
    ranks, cells = ranked(grid), grid[0].numel()
    whole = ask(torch.ones_like(ranks, dtype=torch.bool))
    insertion = [ask(ranks < count) for count in kept]
    deletion = [ask(ranks >= count) for count in dropped]
    kept_shares = [count / cells for count in kept]
    dropped_shares = [count / cells for count in dropped]
    return _area([*insertion, whole], [*kept_shares, 1.0]) - _area(
        [whole, *deletion], [0.0, *dropped_shares]
    )


def _area(values: Sequence[Tensor], at: Sequence[float]) -> Tensor:
    """Mean height of the line through `values` (each (N,)) over the range of `at`."""
    places = torch.tensor(at, device=values[0].device)
    return torch.trapezoid(torch.stack(list(values), dim=1), places) / (at[-1] - at[0])


def _probability(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.softmax(1).gather(1, classes[:, None])[:, 0]
