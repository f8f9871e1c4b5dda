"""Null models of heat in a place: a map's cells shuffled, or the map moved round.

Shuffles keep the cells' values; what they say of noise is exact, but any smooth map has more
mass in one place than its shuffles. Moved round, out of one edge and in at the other, a map keeps
its smoothness too and lies anywhere with equal chance: H. W. Lotwick, B. W. Silverman 1982,
"Methods for analysing spatial processes of several types of points", JRSS B 44.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from guanwu.wire.map_statistics import EXPECTED

SHUFFLES = 99
SEED = 20261126
CORNER = 2  # cells a side
WINDOW = 3  # cells a side of a place

Maps = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_NOISE = np.float32(1 + 1e-5)  # of sums in float32: an even map is hot nowhere


def on_border(maps: Maps) -> Maps:
    """Mass in the outer ring of cells, with the map moved round in every way.

    (n, h, w) -> (n, h, w); at [:, 0, 0] that of the map as it is.
    """
    rows, columns = maps.sum(axis=2), maps.sum(axis=1)
    rows, columns = rows + np.roll(rows, 1, 1), columns + np.roll(columns, 1, 1)
    ring: Maps = rows[:, :, None] + columns[:, None, :] - _sums(maps, 2)
    return ring


def in_corners(maps: Maps) -> Maps:
    """Mass in the four corners, as `on_border`: moved round, they are one square."""
    return np.roll(_sums(maps, 2 * CORNER), (1 - CORNER, 1 - CORNER), (1, 2))


def in_places(maps: Maps) -> Maps:
    """Mass in the square of `WINDOW` cells around every cell, out of one edge and in at the
    other: (n, h, w)."""
    reach = WINDOW // 2
    return np.roll(_sums(maps, WINDOW), (-reach, -reach), (1, 2))


def _sums(maps: Maps, side: int) -> Maps:
    """Mass of the square of `side` cells that ends with each cell, round the edges."""
    across = sum((np.roll(maps, n, 2) for n in range(1, side)), maps)
    return sum((np.roll(across, n, 1) for n in range(1, side)), across)


def hot(moved: Maps) -> Flags:
    """True where a map is among the hottest 5 % of itself moved round: bool (n, h, w).

    Never more than 5 %; ties with what is not are not hot, so that a flat map is hot nowhere.
    """
    flat = moved.reshape(len(moved), -1)
    most = int(EXPECTED * flat.shape[1])
    rest = np.partition(flat, flat.shape[1] - most - 1, axis=1)[:, flat.shape[1] - most - 1]
    return moved > rest[:, None, None] * _NOISE


def above_shuffled(maps: Maps, mass: Maps, *, corners: bool) -> Flags:
    """Is a map's mass on the border (or in the corners) among the top 5 % of its shuffles?

    The same shuffles for every map: bool (n,).
    """
    n, h, w = maps.shape
    # Not as a matrix product: BLAS would wake a thread on every core for it.
    shuffled = np.einsum("nc,sc->ns", maps.reshape(n, -1), _shuffles(h, w, corners))
    at_least = (shuffled * _NOISE >= mass[:, None]).sum(axis=1)
    above: Flags = at_least + 1 <= EXPECTED * (SHUFFLES + 1)
    return above


@lru_cache(maxsize=64)
def _shuffles(h: int, w: int, corners: bool) -> Maps:
    """The cells that come to lie there in each shuffle: 0 or 1, (SHUFFLES, h * w)."""
    part = (in_corner(h, w) if corners else in_ring(h, w)).ravel()
    chance = np.random.default_rng([SEED, h, w])
    return np.stack([chance.permutation(part) for _ in range(SHUFFLES)]).astype(np.float32)


def in_ring(h: int, w: int) -> Flags:
    """The outer ring of cells."""
    ring = np.ones((h, w), np.bool_)
    ring[1:-1, 1:-1] = False
    return ring


def in_corner(h: int, w: int) -> Flags:
    """The four corners."""
    rows, columns = np.zeros(h, np.bool_), np.zeros(w, np.bool_)
    rows[:CORNER] = rows[-CORNER:] = columns[:CORNER] = columns[-CORNER:] = True
    return np.logical_and.outer(rows, columns)
