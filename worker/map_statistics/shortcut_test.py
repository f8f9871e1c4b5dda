"""Does attention sit where no thing is: on borders, in corners, on one place off the middle?

A network that learned a watermark instead of the thing looks at it in picture after picture.
In the middle it may: that is where photographers put things, so places there are not tested.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guanwu.wire.map_statistics import ALLOWED, LEAST_PICTURES, LEVEL, ShortcutFlag, Spot
from worker.contract.coarse_maps import SIDE
from worker.map_statistics import map_rows
from worker.map_statistics.null_models import WINDOW

OUTER = 3
"""Cells from the picture's edge within which the middle of a tested place lies."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Group:
    """Summed traces of a method's maps; of one first label, or of all."""

    model: str
    method: str
    total: npt.NDArray[np.float64]
    label: str | None = None
    label_en: str | None = None


@dataclass(frozen=True)
class _Look:
    """How many of how many pictures are hot at one spot; `mass` is that of all their maps."""

    group: Group
    spot: Spot
    hot: int
    pictures: int
    mass: float = 0.0
    box: Box | None = None

    def hotter(self, other: _Look) -> bool:
        shares = self.hot / self.pictures, other.hot / other.pictures
        return (shares[0], self.mass) > (shares[1], other.mass)


def shortcuts(groups: Sequence[Group]) -> list[ShortcutFlag]:
    """What is flagged, the least likely first; of a group's places only one."""
    looks = [look for group in groups for look in _looks(group)]
    found: dict[tuple[int, Spot], tuple[_Look, float]] = {}
    for look in looks:
        p = min(1.0, len(looks) * at_least(look.hot, look.pictures, ALLOWED))
        key = (id(look.group), look.spot)
        if p < LEVEL and (key not in found or look.hotter(found[key][0])):
            found[key] = look, p
    flags = [_flag(look, p) for look, p in found.values()]
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


def _looks(group: Group) -> list[_Look]:
    total = group.total
    edged = int(total[map_rows.EDGED])
    if edged < LEAST_PICTURES:
        return []
    looks = [
        _Look(group, "border", int(total[map_rows.BORDER][3]), edged),
        _Look(group, "corners", int(total[map_rows.CORNERS][3]), edged),
    ]
    density = total[map_rows.DENSITY].reshape(SIDE, SIDE)
    hot = total[map_rows.HOT].reshape(SIDE, SIDE)
    tested = total[map_rows.TESTED].reshape(SIDE, SIDE)
    for row, column in np.argwhere(tested >= LEAST_PICTURES).tolist():
        if min(row, column, SIDE - 1 - row, SIDE - 1 - column) < OUTER:
            counts = int(hot[row, column]), int(tested[row, column])
            mass = density[row - 1 : row + 2, column - 1 : column + 2].sum()
            looks.append(_Look(group, "place", *counts, float(mass), _box(row, column)))
    return looks


def _box(row: int, column: int) -> Box:
    reach = WINDOW // 2
    edges = (column - reach, row - reach, column + reach + 1, row + reach + 1)
    x0, y0, x1, y1 = (round(edge / SIDE, 4) for edge in edges)
    return x0, y0, x1, y1


def _flag(look: _Look, p: float) -> ShortcutFlag:
    return ShortcutFlag(
        spot=look.spot,
        model=look.group.model,
        method=look.group.method,
        label=look.group.label,
        label_en=look.group.label_en,
        pictures=look.pictures,
        hot=look.hot,
        share=round(look.hot / look.pictures, 4),
        p=p,
        box=look.box,
    )
