"""Coarse maps: shares of a map's mass in each cell of one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.contract.coarse_maps import SIDE
from worker.vision.heatmaps.heatmap import Heatmap


@dataclass(frozen=True)
class Density:
    """Distribution of a map's positive mass.

    Attributes:
        cells: float32 (SIDE, SIDE), row 0 on top; sums to 1, or is all 0 where there is no mass.
        seen: `row0, row1, column0, column1`, ends exclusive: the cells that the model saw. A
            model that crops never looks at the others.
    """

    cells: npt.NDArray[np.float32]
    seen: tuple[int, int, int, int]


def density(heatmap: Heatmap) -> Density:
    """The positive part of a map over the whole upright picture, as shares."""
    heat = np.maximum(heatmap.over_picture(SIDE, SIDE), np.float32(0))
    total = np.float32(heat.sum(dtype=np.float64))
    rows, columns = heatmap.seen_part(SIDE, SIDE)
    return Density(
        cells=(heat / total).astype(np.float32) if total > 0 else heat,
        seen=(rows.start, rows.stop, columns.start, columns.stop),
    )
