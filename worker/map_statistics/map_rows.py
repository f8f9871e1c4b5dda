"""Rows of map statistics: one record a map, so that a job's totals are sums of rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.contract.coarse_maps import SIDE
from worker.map_statistics import null_models

LEAST_SIDE = 6
"""Cells that a model must have seen across and down, or where heat lies says little."""

MapRows = npt.NDArray[np.void]
"""Of `ROW`; totals of `TOTAL`."""


def _layout(number: type[np.floating]) -> np.dtype[np.void]:
    """Numbers of one kind without gaps, so that rows are summed as plain vectors."""
    edge = [
        ("mass", number),  # in the part
        ("even", number),  # its share of cells: the mass of an even map
        ("above_shuffled", number),  # 1 if the mass is high beside the map's shuffles
        ("hot", number),  # 1 if it is high beside the map moved round
    ]
    return np.dtype(
        [
            ("maps", number),  # 1
            ("edges_tested", number),  # 1 if the map has mass and enough of it was seen
            ("density", number, (SIDE, SIDE)),  # 0 without mass
            ("hot", number, (SIDE, SIDE)),  # 1 where it is hot
            ("places_tested", number, (SIDE, SIDE)),  # 1 where it could be hot
            ("border", edge),
            ("corners", edge),
        ]
    )


ROW = _layout(np.float32)
TOTAL = _layout(np.float64)


def build_rows(cells: npt.NDArray[np.float32], seen: npt.NDArray[np.int8]) -> MapRows:
    """One row a map, of densities (n, SIDE, SIDE) and of what was seen of them (n, 4).

    Maps without mass, or of which too little was seen, are not tested.
    """
    rows = np.zeros(len(cells), ROW)
    rows["density"] = cells
    rows["maps"] = 1
    has_mass = cells.any(axis=(1, 2))
    for part in np.unique(seen[has_mass], axis=0):
        row0, row1, column0, column1 = (int(edge) for edge in part)
        if min(row1 - row0, column1 - column0) < LEAST_SIDE:
            continue
        members = np.flatnonzero(has_mass & (seen == part).all(axis=1))
        inside = (slice(row0, row1), slice(column0, column1))
        _test_maps(rows, members, np.ascontiguousarray(cells[members][:, *inside]), inside)
    return rows


def zero_total() -> MapRows:
    """The total of no rows: () of `TOTAL`."""
    return np.zeros((), TOTAL)


def add_rows(total: MapRows, rows: MapRows) -> None:
    """Add rows to a total, in place, field by field, in float64."""
    _numbers(total)[0] += _numbers(rows).sum(axis=0, dtype=np.float64)


def _numbers(rows: MapRows) -> npt.NDArray[np.floating]:
    """The same memory as plain numbers: (n, numbers of a row)."""
    return rows.reshape(-1).view(rows.dtype["maps"]).reshape(rows.size, -1)


def _test_maps(
    rows: MapRows,
    members: npt.NDArray[np.intp],
    maps: npt.NDArray[np.float32],
    inside: tuple[slice, slice],
) -> None:
    """Fill the rows of maps of which the same part was seen."""
    rows["edges_tested"][members] = 1
    rows["border"][members] = _test_edge(maps, corners=False)
    rows["corners"][members] = _test_edge(maps, corners=True)
    hot = np.zeros((len(members), SIDE, SIDE), np.float32)
    tested = np.zeros((SIDE, SIDE), np.float32)
    within = tuple(slice(s.start + 1, s.stop - 1) for s in inside)
    hot[:, *within] = null_models.hot(null_models.in_places(maps))[:, 1:-1, 1:-1]
    tested[*within] = 1
    rows["hot"][members] = hot
    rows["places_tested"][members] = tested


def _test_edge(maps: npt.NDArray[np.float32], *, corners: bool) -> MapRows:
    """The border or the corners of maps: (n,) of the field's layout."""
    h, w = maps.shape[1:]
    moved = null_models.in_corners(maps) if corners else null_models.on_border(maps)
    part = null_models.in_corner(h, w) if corners else null_models.in_ring(h, w)
    edges = np.zeros(len(maps), ROW["border"])
    edges["mass"] = mass = moved[:, 0, 0]
    edges["even"] = part.mean()
    edges["above_shuffled"] = null_models.above_shuffled(maps, mass, corners=corners)
    edges["hot"] = null_models.hot(moved)[:, 0, 0]
    return edges
