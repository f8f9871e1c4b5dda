"""What is summed over maps: one row of numbers a map, so that a job is the sum of its rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.contract.coarse_maps import SIDE
from worker.map_statistics import null_models

CELLS = SIDE * SIDE
LEAST_SIDE = 6
"""Cells that a model must have seen across and down, or where heat lies says little."""

DENSITY = slice(0, CELLS)
HOT = slice(CELLS, 2 * CELLS)
TESTED = slice(2 * CELLS, 3 * CELLS)
MAPS, EDGED = 3 * CELLS, 3 * CELLS + 1
BORDER = slice(3 * CELLS + 2, 3 * CELLS + 6)
CORNERS = slice(3 * CELLS + 6, 3 * CELLS + 10)
LENGTH = 3 * CELLS + 10

Rows = npt.NDArray[np.float32]


def traced(cells: npt.NDArray[np.float32], seen: npt.NDArray[np.int8]) -> Rows:
    """One row a map, of densities (n, SIDE, SIDE) and of what was seen of them (n, 4).

    A map's row: its density; the places where it is hot; the places that were looked at; 1; 1 if
    it was looked at; then of the border and of the corners: mass, share of cells, above its
    shuffles, above itself moved round. Maps without mass have no density and were not looked at.
    """
    rows = np.zeros((len(cells), LENGTH), np.float32)
    rows[:, DENSITY] = cells.reshape(len(cells), -1)
    rows[:, MAPS] = 1
    has_mass = cells.any(axis=(1, 2))
    for part in np.unique(seen[has_mass], axis=0):
        row0, row1, column0, column1 = (int(edge) for edge in part)
        if min(row1 - row0, column1 - column0) < LEAST_SIDE:
            continue
        members = np.flatnonzero(has_mass & (seen == part).all(axis=1))
        inside = (slice(row0, row1), slice(column0, column1))
        _look(rows, members, np.ascontiguousarray(cells[members][:, *inside]), inside)
    return rows


def _look(
    rows: Rows,
    members: npt.NDArray[np.intp],
    maps: npt.NDArray[np.float32],
    inside: tuple[slice, slice],
) -> None:
    """Maps of which the same part was seen."""
    rows[members, EDGED] = 1
    rows[members, BORDER] = _edge(maps, corners=False)
    rows[members, CORNERS] = _edge(maps, corners=True)
    hot = np.zeros((len(members), SIDE, SIDE), np.float32)
    tested = np.zeros((SIDE, SIDE), np.float32)
    within = tuple(slice(s.start + 1, s.stop - 1) for s in inside)
    hot[:, *within] = null_models.hot(null_models.in_places(maps))[:, 1:-1, 1:-1]
    tested[*within] = 1
    rows[members, HOT] = hot.reshape(len(members), -1)
    rows[members, TESTED] = tested.ravel()


def _edge(maps: npt.NDArray[np.float32], *, corners: bool) -> npt.NDArray[np.float32]:
    """Mass, share of cells, above shuffles, above moved: (n, 4)."""
    h, w = maps.shape[1:]
    moved = null_models.in_corners(maps) if corners else null_models.on_border(maps)
    part = null_models.in_corner(h, w) if corners else null_models.in_ring(h, w)
    mass = moved[:, 0, 0]
    shuffled = null_models.above_shuffled(maps, mass, corners=corners)
    even = np.full(len(maps), part.mean(), np.float32)
    return np.stack([mass, even, shuffled, null_models.hot(moved)[:, 0, 0]], axis=1)
