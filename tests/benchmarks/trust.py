"""Whether the served score tells a good map from a bad one: what the benchmarks share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from worker.vision.heatmaps.faithfulness import Probed, fit, score_maps, verdict

KNOW_NOTHING = ("centre", "random")


@torch.inference_mode()
def served_scores(
    model: Probed, pixels: Tensor, classes: Tensor, maps: Mapping[str, Tensor], *, batch: int = 16
) -> dict[str, Tensor]:
    """The score that a result would carry, by method, float32 (N,).

    Args:
        pixels: uint8 (N, h, w, 3).
        classes: (N,), the labels that the maps explain.
        maps: by method, (N, gh, gw).
    """
    rows = [
        score_maps(
            model,
            pixels[start : start + batch],
            classes[start : start + batch],
            [grids[start : start + batch] for grids in maps.values()],
        )
        for start in range(0, len(pixels), batch)
    ]
    return dict(zip(maps, torch.cat(rows, dim=1), strict=True))


def score_spearman(served: Mapping[str, Tensor], metric: Mapping[str, Tensor]) -> float:
    """Rank correlation over all (picture, method) pairs but those of maps that know nothing."""
    methods = [method for method in served if method not in KNOW_NOTHING]
    return spearman(
        torch.cat([served[method] for method in methods]),
        torch.cat([metric[method] for method in methods]),
    )


def random_above_not(random: Tensor, centre: Tensor) -> float:
    """Share of random maps above `not_better_than_random` where it matters: on the other half.

    Thresholds are fitted to every second picture, (N,) scores of a random map and of the
    centre each; the random maps of the others are judged by them. Both ways, averaged.
    """
    rates = []
    for first in (0, 1):
        limits = fit(random[first::2], centre[None, first::2])
        judged = [verdict(score, limits) for score in random[1 - first :: 2].tolist()]
        rates.append(sum(v != "not_better_than_random" for v in judged) / len(judged))
    return sum(rates) / 2


def spearman(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two rows; equal values share their mean rank."""
    return float(torch.corrcoef(torch.stack([_ranks(a), _ranks(b)]))[0, 1])


def _ranks(values: Tensor) -> Tensor:
    _, group, count = values.double().unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    ranks: Tensor = (last - (count - 1) / 2)[group]
    return ranks
