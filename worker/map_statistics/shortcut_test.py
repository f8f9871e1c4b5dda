"""Test for shortcuts: attention on borders, in corners, or on one place off the middle.

A network that learned a watermark instead of the thing looks at it in picture after picture.
In the middle it may: that is where photographers put things, so places there are not tested.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guanwu.wire.map_statistics import ALLOWED, LEAST_PICTURES, LEVEL, ShortcutFlag, Spot
from worker.contract.coarse_maps import SIDE
from worker.map_statistics.map_rows import MapRows
from worker.map_statistics.null_models import WINDOW

OUTER = 3
"""Cells from the picture's edge within which the middle of a tested place lies."""

SpotBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class Group:
    """Summed rows of a method's maps; of one first label, or of all."""

    model: str
    method: str
    total: MapRows
    label: str | None = None
    label_en: str | None = None


@dataclass(frozen=True)
class _SpotCount:
    """Pictures that are hot at one spot, of all tested; `mass` is that of all their maps."""

    group: Group
    spot: Spot
    hot: int
    pictures: int
    mass: float = 0.0
    box: SpotBox | None = None

    def hotter(self, other: _SpotCount) -> bool:
        shares = self.hot / self.pictures, other.hot / other.pictures
        return (shares[0], self.mass) > (shares[1], other.mass)


def find_shortcuts(groups: Sequence[Group]) -> list[ShortcutFlag]:
    """The flags, the least likely first; of a group's places only one."""
    counts = [count for group in groups for count in _count_spots(group)]
    hottest: dict[tuple[int, Spot], tuple[_SpotCount, float]] = {}
    for count in counts:
        p = min(1.0, len(counts) * at_least(count.hot, count.pictures, ALLOWED))
        key = (id(count.group), count.spot)
        if p < LEVEL and (key not in hottest or count.hotter(hottest[key][0])):
            hottest[key] = count, p
    flags = [_flag(count, p) for count, p in hottest.values()]
    return sorted(flags, key=lambda flag: (flag.p, -flag.share))


def at_least(hot: int, pictures: int, share: float) -> float:
    """P(X >= hot) of X ~ Binomial(pictures, share); 1 where `hot` is not above the mean."""
    if hot <= share * pictures:
        return 1.0
    rest = pictures - hot
    log_ways = math.lgamma(pictures + 1) - math.lgamma(hot + 1) - math.lgamma(rest + 1)
    term = math.exp(log_ways + hot * math.log(share) + rest * math.log1p(-share))
    tail = 0.0
    for k in range(hot, pictures + 1):
        tail += term
        term *= (pictures - k) / (k + 1) * share / (1 - share)
        if term <= 1e-12 * tail:  # both are 0 where the first is less than any float
            break
    return min(1.0, tail)


def _count_spots(group: Group) -> list[_SpotCount]:
    total = group.total
    edges_tested = int(total["edges_tested"])
    if edges_tested < LEAST_PICTURES:
        return []
    counts = [
        _SpotCount(group, "border", int(total["border"]["hot"]), edges_tested),
        _SpotCount(group, "corners", int(total["corners"]["hot"]), edges_tested),
    ]
    density, hot, tested = total["density"], total["hot"], total["places_tested"]
    for row, column in np.argwhere(tested >= LEAST_PICTURES).tolist():
        if min(row, column, SIDE - 1 - row, SIDE - 1 - column) < OUTER:
            pictures = int(tested[row, column])
            mass = float(density[row - 1 : row + 2, column - 1 : column + 2].sum())
            box = _box(row, column)
            counts.append(_SpotCount(group, "place", int(hot[row, column]), pictures, mass, box))
    return counts


def _box(row: int, column: int) -> SpotBox:
    reach = WINDOW // 2
    edges = (column - reach, row - reach, column + reach + 1, row + reach + 1)
    x0, y0, x1, y1 = (round(edge / SIDE, 4) for edge in edges)
    return x0, y0, x1, y1


def _flag(count: _SpotCount, p: float) -> ShortcutFlag:
    return ShortcutFlag(
        spot=count.spot,
        model=count.group.model,
        method=count.group.method,
        label=count.group.label,
        label_en=count.group.label_en,
        pictures=count.pictures,
        hot=count.hot,
        share=round(count.hot / count.pictures, 4),
        p=p,
        box=count.box,
    )
