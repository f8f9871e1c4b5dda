"""Framing: the part of a picture that a model gets, and its size.

Both ways give uint8 pixels and the exact window they cover, so that a map finds its way
back into the picture. `WholePicture` is the default: a centre crop answers for a part of
the picture only (on 2:1 photos EfficientNet-Lite0's rank-1 falls from 0.84 to 0.73).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.vision.heatmaps.heatmap import Window

_REDUCE_GAP = 3.0  # PIL's filter still sees this many pixels for each one it makes
_MOST_SCALE, _SCALE_GAP = 100.0, 1e-5  # transformers' search for a scale: its start and its end


@dataclass(frozen=True)
class Framed:
    """The input that a model gets of one picture.

    Attributes:
        pixels: uint8 (h, w, 3), the model's input size.
        window: the part of the picture they show.
    """

    pixels: npt.NDArray[np.uint8]
    window: Window


class Framing(Protocol):
    def fit(self, rgb: npt.NDArray[np.uint8]) -> Framed:
        """Lay a picture, uint8 (height, width, 3), before the model. Any thread."""
        ...


@dataclass(frozen=True, kw_only=True)
class WholePicture:
    """The whole picture near its own aspect, from a short ladder of shapes.

    The shapes have about `cells` x `cells` cells of `cell_px`, so cost does not depend on
    the aspect and pictures of like aspect share a batch. The two axes are stretched
    differently by what the ladder leaves; pictures beyond 4:1 are squeezed more.
    """

    cell_px: int
    cells: int
    resample: int = Image.Resampling.BICUBIC

    def fit(self, rgb: npt.NDArray[np.uint8]) -> Framed:
        rows, columns = self.grid(rgb.shape[1], rgb.shape[0])
        return _whole(rgb, (rows * self.cell_px, columns * self.cell_px), self.resample)

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """(rows, columns) of the ladder whose aspect is nearest to the picture's."""
        aspect = math.log(width / height)
        return min(self._ladder(), key=lambda g: abs(math.log(g[1] / g[0]) - aspect))

    def _ladder(self) -> list[tuple[int, int]]:
        area = self.cells**2
        wide = [(self.cells, self.cells)]
        for short in range(self.cells - 1, self.cells // 2 - 1, -1):
            wide += [(short, math.floor(area / short)), (short, math.ceil(area / short))]
        return wide + [(columns, rows) for rows, columns in wide[1:]]


@dataclass(frozen=True, kw_only=True)
class PatchBudget:
    """The whole picture at its own aspect, as large as `most_patches` patches of `patch_px` allow.

    Tschannen et al. 2025, "SigLIP 2: Multilingual Vision-Language Encoders with Improved
    Semantic Understanding, Localization, and Dense Features". The scale is found as
    transformers' image processor finds it, so the pixels are its own; only the last patch of
    an axis is stretched, by what fills it.
    """

    patch_px: int
    most_patches: int
    resample: int = Image.Resampling.BILINEAR

    def fit(self, rgb: npt.NDArray[np.uint8]) -> Framed:
        rows, columns = self.grid(rgb.shape[1], rgb.shape[0])
        return _whole(rgb, (rows * self.patch_px, columns * self.patch_px), self.resample)

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """(rows, columns) of patches."""
        fits, exceeds = _SCALE_GAP / 10, _MOST_SCALE
        while exceeds - fits >= _SCALE_GAP:
            scale = (fits + exceeds) / 2
            if math.prod(self._scaled(width, height, scale)) <= self.most_patches:
                fits = scale
            else:
                exceeds = scale
        return self._scaled(width, height, fits)

    def _scaled(self, width: int, height: int, scale: float) -> tuple[int, int]:
        rows = math.ceil(height * scale / self.patch_px)
        return max(1, rows), max(1, math.ceil(width * scale / self.patch_px))


@dataclass(frozen=True, kw_only=True)
class CentreCrop:
    """The middle `crop_px` of the picture whose short side was scaled to `short_px`.

    Sides and offsets are rounded as transformers' image processors round them, so the
    pixels are theirs. Where the crop is larger than the scaled picture, they pad with
    black; this takes the whole side instead.
    """

    short_px: int
    crop_px: tuple[int, int]
    resample: int = Image.Resampling.BICUBIC

    def fit(self, rgb: npt.NDArray[np.uint8]) -> Framed:
        height, width = rgb.shape[:2]
        short = min(width, height)
        top, bottom = _middle(height, int(self.short_px * height / short), self.crop_px[0])
        left, right = _middle(width, int(self.short_px * width / short), self.crop_px[1])
        window = Window(left, top, right, bottom)
        rows, columns = self.crop_px
        return Framed(resample(rgb, window, (columns, rows), self.resample), window)


@dataclass(frozen=True, kw_only=True)
class Squeezed:
    """The whole picture squeezed to one fixed size, whatever its aspect."""

    size_px: tuple[int, int]
    resample: int = Image.Resampling.BICUBIC

    def fit(self, rgb: npt.NDArray[np.uint8]) -> Framed:
        return _whole(rgb, self.size_px, self.resample)


def apply(framing: Framing, rgb: npt.NDArray[np.uint8], *, width: int, height: int) -> Framed:
    """A picture of `width` x `height` px before a model, of whose pixels `rgb` may be fewer.

    The window is in pixels of the picture, not of `rgb`.
    """
    framed = framing.fit(rgb)
    rows, columns = rgb.shape[:2]
    seen = framed.window
    window = Window(
        seen.x0 * width / columns,
        seen.y0 * height / rows,
        seen.x1 * width / columns,
        seen.y1 * height / rows,
    )
    return replace(framed, window=window)


def enough_px(framing: Framing) -> int:
    """The least shorter side of which `fit` makes what it would make of a larger picture."""
    shape: tuple[int, ...] = framing.fit(np.zeros((64, 64, 3), np.uint8)).pixels.shape
    return math.ceil(_REDUCE_GAP * max(shape[:2]))


def _whole(rgb: npt.NDArray[np.uint8], size_px: tuple[int, int], method: int) -> Framed:
    """All of a picture at `size_px` (height, width)."""
    window = Window(0.0, 0.0, float(rgb.shape[1]), float(rgb.shape[0]))
    rows, columns = size_px
    return Framed(resample(rgb, window, (columns, rows), method), window)


def resample(
    rgb: npt.NDArray[np.uint8], window: Window, size: tuple[int, int], method: int
) -> npt.NDArray[np.uint8]:
    """The window of a picture at `size` (width, height): uint8 (height, width, 3).

    Antialiased like PIL; large pictures are first reduced by area, which costs a tenth of
    handing them to PIL whole and differs by rounding.
    """
    box = np.array([window.x0, window.y0, window.x1, window.y1])
    factor = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]) / _REDUCE_GAP
    if factor >= 2:
        height, width = rgb.shape[:2]
        small = (round(width / int(factor)), round(height / int(factor)))
        rgb = np.asarray(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), np.uint8)
        box *= np.array([small[0] / width, small[1] / height] * 2)
    left, top, right, bottom = np.clip(box, 0.0, [rgb.shape[1], rgb.shape[0]] * 2).tolist()
    image = Image.fromarray(rgb).resize(
        size, Image.Resampling(method), box=(left, top, right, bottom)
    )
    return np.asarray(image, np.uint8)


def _middle(length: int, scaled: int, crop: int) -> tuple[float, float]:
    """From where to where, in pixels of `length`, the middle `crop` of `scaled` reaches."""
    if crop >= scaled:
        return 0.0, float(length)
    start = (scaled - crop) // 2
    return start * length / scaled, (start + crop) * length / scaled
