"""Faithfulness of maps: deletion and insertion at one split.

Does the model know the label by the hot part of a map, and not without it?

score = p(label | the hottest 40 % of the cells) - p(label | the rest), in -1..1. The other
cells are taken from the model: tokens are dropped where it has tokens, pixels are blurred
where it has none. A random map scores a little below 0, and a blob in the middle of the
picture is what any map has to beat, because photographers put things there.

Insertion and deletion are of Petsiuk, Das, Saenko 2018, "RISE: Randomized Input Sampling for
Explanation of Black-box Models"; this keeps one point of each curve, which costs a ViT about
0.8 forward passes. Of the splits at 10, 20, ... 90 % the one at 40 agrees best with the whole
curves (docs/faithfulness.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from guanwu.wire.base import Verdict
from guanwu.wire.results import Faithfulness

HOT_SHARE = 0.4
TIE_SEED = 20260
"""Cells of equal heat are ordered by chance, the same each time: a flat map is a random map."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From which score on a map is `faithful`, and below which it is no better than noise.

    The start values are those of a ViT-S on photos of objects; `fit` finds a model's own.
    """

    faithful: float = 0.71
    random: float = 0.23


START = Thresholds()


class Probed(Protocol):
    """A classifier that can be shown a part of its input.

    Attributes:
        least_cells: maps of fewer cells are cut twice as fine before they are ranked, where
            the model can be shown any part; 0 where its cells are its tokens.
    """

    min_map_cells: int

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        """Logits of uint8 pictures (N, h, w, 3) of which only `cells`, bool (N, gh, gw), are
        shown; every picture shows equally many. float32 (N, classes)."""
        ...


def judge(
    model: Probed,
    pixels: Tensor,
    classes: Tensor,
    grids: Sequence[Tensor],
    *,
    thresholds: Thresholds | None = None,
) -> list[list[Faithfulness]]:
    """Scores and verdicts of several maps of each picture.

    Args:
        pixels: uint8 (N, h, w, 3) on the model's device.
        classes: (N,), the label that the maps explain.
        grids: each (N, gh, gw); higher speaks for the label.
        thresholds: None takes the start values and says `calibrated: false`.

    Returns:
        for each of `grids` one `Faithfulness` a picture.
    """
    centre = build_centre_blob(grids[0].shape[1:], device=grids[0].device).expand_as(grids[0])
    rows = score_maps(model, pixels, classes, [*grids, centre]).tolist()
    limits = thresholds or START
    return [
        [
            Faithfulness(
                score=score,
                centre=of_centre,
                verdict=verdict(score, limits),
                beats_centre=score > of_centre,
                calibrated=thresholds is not None,
            )
            for score, of_centre in zip(row, rows[-1], strict=True)
        ]
        for row in rows[:-1]
    ]


def score_maps(model: Probed, pixels: Tensor, classes: Tensor, grids: Sequence[Tensor]) -> Tensor:
    """p(label | hottest cells) - p(label | the rest) of each map: float32 (maps, N)."""
    least = model.min_map_cells
    cells = [part for grid in grids for part in split_cells(_cut(grid, min_map_cells=least))]
    logits = torch.stack([model.forward_visible(pixels, part) for part in cells])
    p = logits.softmax(-1).gather(-1, classes.expand(len(cells), -1)[..., None])[..., 0]
    return (p[0::2] - p[1::2]).nan_to_num(0.0)


def split_cells(grid: Tensor) -> tuple[Tensor, Tensor]:
    """The hottest cells, `HOT_SHARE` of all, and the rest: two bool (N, gh, gw).

    Signed values are ranked as they are.
    """
    hot = rank_cells(grid) < round(HOT_SHARE * grid[0].numel())
    return hot, ~hot


def _cut(grid: Tensor, *, min_map_cells: int) -> Tensor:
    if grid[0].numel() >= min_map_cells:
        return grid
    return functional.interpolate(
        grid[:, None].float(), scale_factor=2, mode="bilinear", align_corners=False
    )[:, 0]


def rank_cells(grid: Tensor) -> Tensor:
    """Each cell's place in its map, 0 the hottest: int64 (N, gh, gw)."""
    flat = grid.flatten(1).float()
    chance = torch.Generator().manual_seed(TIE_SEED)
    shuffled = torch.randperm(flat.shape[1], generator=chance).to(flat.device)
    order = shuffled[flat[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view_as(grid)


def verdict(score: float, thresholds: Thresholds) -> Verdict:
    """The verdict on a score by the model's thresholds."""
    if score >= thresholds.faithful:
        return "faithful"
    return "weak" if score >= thresholds.random else "not_better_than_random"


def build_centre_blob(grid: Sequence[int], *, device: torch.device | None = None) -> Tensor:
    """Baseline map that knows nothing but where things tend to be: 1 in the middle, falling off
    evenly in shares of height and width; float32 (1, gh, gw)."""
    rows, columns = grid
    y = (torch.arange(rows, device=device) + 0.5) / rows - 0.5
    x = (torch.arange(columns, device=device) + 0.5) / columns - 0.5
    return 1.0 - (y[:, None] ** 2 + x[None, :] ** 2)[None]


def random_grids(
    count: int, grid: Sequence[int], *, seed: int, smooth_cells: float = 0.0
) -> Tensor:
    """Maps that know nothing: normal noise, float32 (count, gh, gw).

    `smooth_cells` is the sigma in cells of a Gaussian that makes blobs of the noise.
    """
    noise = torch.randn(count, *grid, generator=torch.Generator().manual_seed(seed))
    return noise if smooth_cells <= 0 else _smoothed(noise, smooth_cells)


def _smoothed(noise: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    x = functional.pad(noise[:, None], (reach,) * 4, mode="replicate")
    x = functional.conv2d(x, taps.view(1, 1, 1, -1))
    return functional.conv2d(x, taps.view(1, 1, -1, 1))[:, 0]


def fit(noise: Tensor, blobs: Tensor) -> Thresholds:
    """Thresholds from the scores of maps that know nothing, on a model's pictures.

    Fewer than one noise map in twenty is above `random`. What is above `faithful` also beats
    nine of ten blobs of every kind, so it is not warm in one place by chance.

    Args:
        noise: (any,) scores of maps of noise.
        blobs: (kinds, any) scores of blobs: in the middle, or anywhere in several sizes.
    """
    random = max(0.0, float(noise.float().quantile(0.95)))
    nine_of_ten = blobs.float().quantile(0.9, dim=1).max()
    return Thresholds(random=random, faithful=max(random, float(nine_of_ten)))
