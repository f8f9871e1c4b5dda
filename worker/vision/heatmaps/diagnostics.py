"""Hints about a map's shape: how concentrated, how near the border, where the heat is.

All but Moran's I look at the positive part, as its share of mass a cell. None of them says
whether the map is right.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from guanwu.wire.results import Diagnostics, Region
from worker.vision.heatmaps.heatmap import Heatmap

HOT_LEVEL = 0.5
"""A region is where the map exceeds this share of its maximum."""
MOST_REGIONS = 5
LEAST_REGION_MASS = 0.01

_REGION_SIDE_PX = 256

Mass = npt.NDArray[np.float64]


def diagnose(heatmap: Heatmap) -> Diagnostics:
    """Measure a map. One without positive values has no mass: all its shares are 0."""
    mass = _shares(heatmap)
    entropy = _entropy(mass)
    return Diagnostics(
        entropy=entropy / math.log(mass.size) if mass.size > 1 else 0.0,
        effective_area=_effective_area(heatmap, entropy) if mass.any() else 0.0,
        border_mass=_border_mass(mass),
        spread=_spread(heatmap, mass),
        morans_i=_morans_i(heatmap.grid.astype(np.float64)),
        flat=heatmap.flat,
        regions=[] if heatmap.flat else _regions(heatmap),
    )


def _shares(heatmap: Heatmap) -> Mass:
    """Each cell's share of the positive mass: float64 (gh, gw), sums to 1 or is all 0."""
    positive = heatmap.positive.astype(np.float64)
    total = positive.sum()
    return positive / total if total > 0 else positive


def _entropy(mass: Mass) -> float:
    """Shannon entropy, nats: 0 (one cell) to log(cells) (uniform)."""
    present = mass[mass > 0]
    return max(0.0, float(-(present * np.log(present)).sum()))


def _effective_area(heatmap: Heatmap, entropy: float) -> float:
    """The perplexity exp(entropy): how many equally hot cells amount to the same, as a share
    of the picture."""
    window = heatmap.window
    across = min(window.x1, heatmap.width) - max(window.x0, 0.0)
    down = min(window.y1, heatmap.height) - max(window.y0, 0.0)
    seen = max(0.0, across) * max(0.0, down) / (heatmap.width * heatmap.height)
    return min(1.0, math.exp(entropy) / heatmap.grid.size * seen)


def _border_mass(mass: Mass) -> float:
    return min(1.0, max(0.0, float(mass.sum() - mass[1:-1, 1:-1].sum())))


def _spread(heatmap: Heatmap, mass: Mass) -> float:
    """Mean distance of the mass from its centroid, in diagonals of the picture."""
    rows, columns = mass.shape
    window = heatmap.window
    x = window.x0 + (np.arange(columns) + 0.5) * (window.x1 - window.x0) / columns
    y = window.y0 + (np.arange(rows) + 0.5) * (window.y1 - window.y0) / rows
    dx = x[None, :] - mass.sum(axis=0) @ x
    dy = y[:, None] - mass.sum(axis=1) @ y
    distance = float((mass * np.hypot(dx, dy)).sum())
    return distance / math.hypot(heatmap.width, heatmap.height)


def _morans_i(values: Mass) -> float:
    """Moran's I with the four neighbours of each cell; 0 for a constant map.

    P. A. P. Moran 1950, "Notes on continuous stochastic phenomena", Biometrika 37.
    """
    away = values - values.mean()
    variance = float((away**2).sum())
    pairs = away[1:].size + away[:, 1:].size
    if pairs == 0 or variance <= 1e-12 * float((values**2).sum()):
        return 0.0
    likeness = (away[1:] * away[:-1]).sum() + (away[:, 1:] * away[:, :-1]).sum()
    return float(values.size / pairs * likeness / variance)


def _regions(heatmap: Heatmap) -> list[Region]:
    """Connected parts hotter than `HOT_LEVEL`, the heaviest first.

    A box's mass is the share inside the whole box, so that a reader can check it.
    """
    scale = min(1.0, _REGION_SIDE_PX / max(heatmap.width, heatmap.height))
    width, height = max(1, round(heatmap.width * scale)), max(1, round(heatmap.height * scale))
    heat = replace(heatmap, grid=heatmap.positive).over_picture(width, height)
    total = float(heat.sum(dtype=np.float64))
    if total <= 0:  # all heat lies in the padding beyond the picture
        return []
    regions = []
    for left, top, w, h in _boxes(heat >= HOT_LEVEL * heat.max()):
        inside = float(heat[top : top + h, left : left + w].sum(dtype=np.float64)) / total
        box = _box_px(heatmap, (left / width, top / height, (left + w) / width, (top + h) / height))
        regions.append(Region(box_px=box, mass=min(1.0, inside)))
    regions.sort(key=lambda region: -region.mass)
    return [r for r in regions if r.mass >= LEAST_REGION_MASS][:MOST_REGIONS]


def _boxes(hot: npt.NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """(left, top, width, height) of each connected part."""
    mask = hot.view(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)  # to search no more than what holds them all
    part = np.ascontiguousarray(mask[y : y + height, x : x + width])
    _, _, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    return [(x + left, y + top, w, h) for left, top, w, h in stats[1:, :4].tolist()]


def _box_px(heatmap: Heatmap, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """A box in shares of the picture -> whole pixels of the picture, at least one a side."""
    x0, y0, x1, y1 = box
    left, top = math.floor(x0 * heatmap.width), math.floor(y0 * heatmap.height)
    right = min(heatmap.width, max(left + 1, math.ceil(x1 * heatmap.width)))
    bottom = min(heatmap.height, max(top + 1, math.ceil(y1 * heatmap.height)))
    return left, top, right, bottom
