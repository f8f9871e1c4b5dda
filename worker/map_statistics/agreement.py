"""Agreement of two maps of one label in one picture: Spearman's rank correlation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.float32]
Seen = npt.NDArray[np.int8]


def rank_correlations(a: Cells, seen_a: Seen, b: Cells, seen_b: Seen) -> npt.NDArray[np.float64]:
    """Correlate pairs of maps, over the cells that both models saw.

    Densities (n, side, side) and what was seen of them (n, 4) -> (m,), -1 to 1; pairs with an
    even map, or without a cell in common, are left out.
    """
    low = np.maximum(seen_a, seen_b)[:, [0, 2]]
    high = np.minimum(seen_a, seen_b)[:, [1, 3]]
    common = np.concatenate([low, high], axis=1)
    correlations = [np.zeros(0)]
    for part in np.unique(common, axis=0):
        row0, column0, row1, column1 = (int(edge) for edge in part)
        if row1 <= row0 or column1 <= column0:
            continue
        members = np.flatnonzero((common == part).all(axis=1))
        x, y = (cells[members, row0:row1, column0:column1] for cells in (a, b))
        correlations.append(_correlate(_ranks(x), _ranks(y)))
    return np.concatenate(correlations)


def _ranks(cells: Cells) -> npt.NDArray[np.float64]:
    """Centred ranks of each map's cells, equals sharing their mean: (n, cells)."""
    flat = cells.reshape(len(cells), -1)
    order = flat.argsort(axis=1, kind="stable")
    ordered = np.take_along_axis(flat, order, axis=1)
    places = np.arange(flat.shape[1])
    begins = np.ones(flat.shape, np.bool_)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(flat.shape, np.bool_)
    ends[:, :-1] = begins[:, 1:]
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.where(ends, places, flat.shape[1])[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    ranks = np.empty(flat.shape)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=1)
    return ranks - (flat.shape[1] - 1) / 2


def _correlate(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    together = (x * y).sum(axis=1)
    alone = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    varies = alone > 0
    correlations: npt.NDArray[np.float64] = np.clip(together[varies] / alone[varies], -1, 1)
    return correlations
