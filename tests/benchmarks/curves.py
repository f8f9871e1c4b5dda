"""Insertion and deletion: how soon the model knows, and how soon it forgets, what it saw.

Petsiuk, Das, Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box
Models". A map ranks the patches; p(true label) is drawn over the share of patches that are
kept, best first, and over the share that is taken away, best first. The areas under both
lines, each divided by the range it covers, and their difference: near 1 for a map that names
what counts, 0 for one that knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from worker.vision.heatmaps.faithfulness import rank_cells
from worker.vision.models.interface.occlusion import gaussian_blur

KEPT = (6, 13, 26, 64, 128)
DROPPED = (52, 128, 192, 230)
SHARES = (0.05, 0.15, 0.3, 0.5, 0.75)
BLUR_SIGMA_PX = 12.0

Ask = Callable[[Tensor], Tensor]
"""What the model gets -> p(true label) (N,)."""


def by_tokens(ask: Ask, grid: Tensor, *, whole: Tensor) -> Tensor:
    """Insertion minus deletion on 256 patches, float32 (N,).

    Args:
        ask: gets the patches that stay, bool (N, gh, gw).
        grid: maps (N, gh, gw), higher is better.
        whole: the answer for the whole picture, (N,).
    """
    return difference(ask, grid, whole=whole, kept=KEPT, dropped=DROPPED)


class PixelCurves:
    """The same in pixels, of several maps of the same pictures.

    Patches are replaced by the mean colour of the model's training and by a blur, and the two
    results averaged.

    Args:
        ask: gets inputs like `x`.
        x: what the model gets of the pictures, 0 the mean colour; (N, 3, h, w).
    """

    def __init__(self, ask: Ask, x: Tensor):
        self._ask, self._x = ask, x
        self._fillings = (torch.zeros_like(x), gaussian_blur(x, sigma_px=BLUR_SIGMA_PX))
        self.whole = ask(x)

    def __call__(self, grid: Tensor) -> Tensor:
        """Insertion minus deletion of maps (N, gh, gw), float32 (N,)."""
        counts = [max(1, round(share * grid[0].numel())) for share in SHARES]
        found = [
            difference(
                partial(self._filled, filling), grid, whole=self.whole, kept=counts, dropped=counts
            )
            for filling in self._fillings
        ]
        return torch.stack(found).mean(0)

    def _filled(self, filling: Tensor, stay: Tensor) -> Tensor:
        mask = functional.interpolate(stay[:, None].float(), self._x.shape[2:])
        return self._ask(torch.lerp(filling, self._x, mask))


def difference(
    ask: Ask, grid: Tensor, *, whole: Tensor, kept: Sequence[int], dropped: Sequence[int]
) -> Tensor:
    """Area while keeping the best minus area while dropping the best, float32 (N,).

    `whole` is the answer for the whole picture, (N,).
    """
    ranks, cells = rank_cells(grid), grid[0].numel()
    insertion = [ask(ranks < count) for count in kept]
    deletion = [ask(ranks >= count) for count in dropped]
    kept_shares = [count / cells for count in kept]
    dropped_shares = [count / cells for count in dropped]
    return area([*insertion, whole], [*kept_shares, 1.0]) - area(
        [whole, *deletion], [0.0, *dropped_shares]
    )


def area(values: Sequence[Tensor], at: Sequence[float]) -> Tensor:
    """Mean height of the line through `values` (each (N,)) over the range of `at`."""
    places = torch.tensor(at, device=values[0].device)
    return torch.trapezoid(torch.stack(list(values), dim=1), places) / (at[-1] - at[0])


def probability(logits: Tensor, classes: Tensor) -> Tensor:
    """p(label) of logits (N, classes) and labels (N,): float32 (N,)."""
    return logits.float().softmax(1).gather(1, classes[:, None])[:, 0]
