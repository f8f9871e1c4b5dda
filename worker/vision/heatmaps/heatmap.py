"""Heatmaps: a grid of cells over the part of a picture that a model saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from worker.contract.errors import ExplanationUnavailable

FLAT_CONTRAST = 0.05
"""Below this share of the maximum, the difference between hottest and coldest says nothing."""

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Window:
    """The rectangle of the upright picture that the model saw, in its pixels (floats).

    `x0, y0` is the left top corner, `x1, y1` the right bottom one, exclusive. It may reach
    beyond the picture where a model pads.
    """

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Heatmap:
    """A map of `gh x gw` equal cells over the window of a `width x height` px picture.

    Attributes:
        grid: float32 (gh, gw), row 0 on top; positive speaks for the target.
        window: what the cells cover, in picture pixels.
        width: of the upright picture, px.
        height: of the upright picture, px.
        signed: True if negative values carry meaning (cam); False for attention, >= 0.

    Raises:
        ExplanationUnavailable: the grid holds NaN or infinity.
    """

    grid: npt.NDArray[np.float32]
    window: Window
    width: int
    height: int
    signed: bool

    def __post_init__(self) -> None:
        if self.grid.ndim != 2 or self.grid.size == 0 or self.grid.dtype != np.float32:
            raise ValueError(
                f"grid must be float32 (gh, gw), not {self.grid.dtype} {self.grid.shape}"
            )
        if self.width < 1 or self.height < 1:
            raise ValueError(f"the picture must have pixels, not {self.width}x{self.height}")
        if not (self.window.x0 < self.window.x1 and self.window.y0 < self.window.y1):
            raise ValueError(f"window must have an area: {self.window}")
        if not np.isfinite(self.grid).all():
            raise ExplanationUnavailable(
                "the model gave a map with values that are not numbers; "
                "try another method, or run the model in float32"
            )

    @property
    def positive(self) -> npt.NDArray[np.float32]:
        """The grid clipped at 0, float32 (gh, gw): what speaks for the target."""
        return np.maximum(self.grid, np.float32(0))

    @property
    def flat(self) -> bool:
        """True if the positive part has (almost) no contrast, or there is none."""
        positive = self.positive
        hottest = float(positive.max())
        contrast = hottest - float(positive.min())
        return hottest < _TINY or contrast < FLAT_CONTRAST * hottest

    def over_picture(self, width: int, height: int) -> npt.NDArray[np.float32]:
        """The map over the whole picture rescaled to `width x height` px: float32 (height, width).

        Bilinear between cell centres, edge cells continued to the window's edge, 0 outside the
        window. Where a pixel is larger than a cell the triangle widens to the pixel, so that no
        hot cell falls between two pixels.
        """
        gh, gw = self.grid.shape
        across = _taps(gw, self.window.x0, self.window.x1, self.width, width)
        down = _taps(gh, self.window.y0, self.window.y1, self.height, height)
        wide = np.ascontiguousarray(_blended(self.grid.T, across).T)
        return _blended(wide, down)

    def seen(self, width: int, height: int) -> npt.NDArray[np.bool_]:
        """Mask of the pixels, of the picture rescaled to `width x height`, that the model saw, by
        their centres.

        bool (height, width); at least one pixel is True.
        """
        columns = _inside(self.window.x0, self.window.x1, self.width, width)
        rows = _inside(self.window.y0, self.window.y1, self.height, height)
        return np.logical_and.outer(rows, columns)

    def seen_part(self, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of the picture rescaled to `width x height` that the model saw."""
        columns = np.flatnonzero(_inside(self.window.x0, self.window.x1, self.width, width))
        rows = np.flatnonzero(_inside(self.window.y0, self.window.y1, self.height, height))
        return (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )


def _inside(start: float, stop: float, length: int, pixels: int) -> npt.NDArray[np.bool_]:
    """Slice of those of `pixels` equal parts of `0..length` that have their centre in
    `start..stop`."""
    centres = (np.arange(pixels) + 0.5) * (length / pixels)
    inside = (centres >= start) & (centres < stop)
    if not inside.any():  # the window is thinner than a pixel: the one that holds its middle
        middle = math.floor((start + stop) / 2 * pixels / length)
        inside[min(max(middle, 0), pixels - 1)] = True
    return inside


Taps = tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]


@lru_cache(maxsize=64)  # pictures of one job are often of one size, and each has several maps
def _taps(cells: int, start: float, stop: float, length: int, pixels: int) -> Taps:
    """Cells, and their weights, of each pixel along one axis.

    Indices and weights, both (taps, pixels), not to be written to; two taps where pixels are
    smaller than cells. Weights of a pixel sum to 1 inside the window and are 0 outside.
    """
    cell_px = (stop - start) / cells
    at = ((np.arange(pixels) + 0.5) * (length / pixels) - start) / cell_px - 0.5
    at = np.clip(at, -0.5, cells - 0.5)
    reach = max(1.0, length / pixels / cell_px)
    index = np.floor(at - reach) + 1 + np.arange(math.ceil(2 * reach))[:, None]
    weight = np.maximum(0.0, 1.0 - np.abs(at - index) / reach)
    weight /= weight.sum(axis=0)
    weight[:, ~_inside(start, stop, length, pixels)] = 0.0
    taps = np.clip(index, 0, cells - 1).astype(np.intp), weight.astype(np.float32)
    for each in taps:
        each.flags.writeable = False
    return taps


def _blended(rows: npt.NDArray[np.float32], taps: Taps) -> npt.NDArray[np.float32]:
    """Rows mixed as the taps say: (cells, n) -> (pixels, n).

    Not as a matrix product: BLAS would wake a thread on every core for a millisecond's work,
    and each would wait for the others while the model holds the cores.
    """
    mixed = np.zeros((taps[0].shape[1], rows.shape[1]), np.float32)
    for index, weight in zip(*taps, strict=True):
        part = rows[index]
        part *= weight[:, None]
        mixed += part
    return mixed
