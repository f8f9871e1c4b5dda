"""A map and its picture -> overlay, raw map and figure, as arrays.

Knows no models. All pictures are RGB; OpenCV's BGR never leaves this file.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt

from guanwu.wire.base import Colormap
from worker.contract.errors import InvalidOptions
from worker.vision.heatmaps.heatmap import FLAT_CONTRAST, Heatmap
from worker.vision.images.decoding import Picture
from worker.vision.rendering.text import title_strip, with_note

RGB = npt.NDArray[np.uint8]
Image = RGB | npt.NDArray[np.uint16]

FLAT_NOTE = "热图无对比度 (flat map)"
UNSEEN_LIGHT = 0.5
"""How bright the colour of the unseen part is, of the picture's own grey."""

_NARROWEST_FIGURE_PX = 320
_MIDDLE_GREY = 32768


def for_display(picture: Picture, *, max_side_px: int) -> Picture:
    """The picture with `rgb` no larger than artefacts of `max_side_px` need.

    All else stays: `width` and `height` still tell the size of the file's picture.
    """
    rgb = _scaled(picture.rgb, _size(picture.width, picture.height, max_side_px))
    return replace(picture, rgb=rgb)


def overlay(
    rgb: RGB,
    heatmap: Heatmap,
    *,
    colormap: str = "jet",
    alpha: float = 0.5,
    max_side_px: int = 1024,
) -> RGB:
    """The map in colour over its picture: uint8 RGB (h, w, 3).

    The map is clipped at 0 and scaled to its maximum; `alpha` is the weight of its colours, 0
    to 1. What the model did not see takes no colour of the map: behind a white line it turns
    grey and darker, with the same weight. A flat map leaves the picture as it is, with
    `FLAT_NOTE` written on it. The picture is scaled down to `max_side_px`, never up.

    Raises:
        InvalidOptions: an unknown colormap, or alpha outside 0..1.
        FontMissing: the map is flat, and no font can write the note.
    """
    _check_matches(rgb, heatmap)
    small = _scaled(rgb, _size(rgb.shape[1], rgb.shape[0], max_side_px))
    return _painted(small, heatmap, colormap=colormap, alpha=alpha)


def raw_map(heatmap: Heatmap, *, max_side_px: int = 1024) -> npt.NDArray[np.uint16]:
    """The map as numbers, at the picture's aspect: uint16 (h, w).

    Signed maps have zero at 32768 and their largest magnitude at 1 or 65535; unsigned ones zero
    at 0 and their maximum at 65535. What the model did not see is zero. A map without contrast
    is 32768 all over its window: middle grey, which claims nothing.
    """
    width, height = _size(heatmap.width, heatmap.height, max_side_px)
    values = heatmap.over_picture(width, height)
    zero = _MIDDLE_GREY if heatmap.signed else 0
    strongest = float(np.abs(heatmap.grid).max())
    contrast = float(heatmap.grid.max()) - float(heatmap.grid.min())
    if strongest < np.finfo(np.float32).tiny or contrast < FLAT_CONTRAST * strongest:
        flat = np.full((height, width), zero, np.uint16)
        flat[heatmap.seen_part(width, height)] = _MIDDLE_GREY
        return flat
    largest = float(np.abs(values).max()) or strongest
    values *= (65535 - zero) / largest
    values += zero + 0.5
    return np.asarray(np.clip(values, 0, 65535), dtype=np.uint16)


def figure(
    rgb: RGB,
    heatmap: Heatmap,
    *,
    title: str,
    colormap: str = "jet",
    alpha: float = 0.5,
    max_side_px: int = 1024,
) -> RGB:
    """Picture and overlay side by side on white under a title: uint8 RGB (h, w, 3).

    No side is longer than `max_side_px`. The pictures are never scaled up; beside tiny ones the
    canvas stays wide enough for the title.

    Raises:
        InvalidOptions: an unknown colormap, or alpha outside 0..1.
        FontMissing: no font with Chinese glyphs is installed.
    """
    _check_matches(rgb, heatmap)
    height, width = rgb.shape[:2]
    gap = max(4, min(16, max_side_px // 64))
    across = min(1.0, (max_side_px - 3 * gap) / 2 / width, (max_side_px - 2 * gap) / height)
    canvas_px = max(2 * int(width * across) + 3 * gap, min(_NARROWEST_FIGURE_PX, max_side_px))
    head = title_strip(
        title,
        width_px=canvas_px - 2 * gap,
        max_height_px=max_side_px // 3,
        size_px=max(14, min(36, canvas_px // 28)),
    )
    scale = min(across, (max_side_px - head.shape[0] - 3 * gap) / height)
    left = _scaled(rgb, (max(1, int(width * scale)), max(1, int(height * scale))))
    right = _painted(left, heatmap, colormap=colormap, alpha=alpha)
    return _composed(head, left, right, canvas_px=canvas_px, gap=gap)


def scaled_to(rgb: RGB, *, max_width_px: int, max_height_px: int) -> RGB:
    """The picture no wider and no higher than that, at its aspect; never scaled up."""
    height, width = rgb.shape[:2]
    scale = min(1.0, max_width_px / width, max_height_px / height)
    return _scaled(rgb, (max(1, int(width * scale)), max(1, int(height * scale))))


def _check_matches(rgb: RGB, heatmap: Heatmap) -> None:
    """The picture may be scaled, but not turned or cropped, against the map's."""
    height, width = rgb.shape[:2]
    drift = abs(width * heatmap.height - height * heatmap.width)
    if drift > max(width, height, heatmap.width, heatmap.height):
        raise ValueError(
            f"rgb is {width}x{height} px, the map belongs to {heatmap.width}x{heatmap.height} px"
        )


def _size(width: int, height: int, max_side_px: int) -> tuple[int, int]:
    scale = min(1.0, max_side_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _scaled(rgb: RGB, size: tuple[int, int]) -> RGB:
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    return _u8(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def _painted(rgb: RGB, heatmap: Heatmap, *, colormap: str, alpha: float) -> RGB:
    if not 0.0 <= alpha <= 1.0:
        raise InvalidOptions(f"alpha must be 0 to 1, not {alpha}", field="options.alpha")
    colours = _colours(colormap)
    if heatmap.flat:
        return with_note(rgb, FLAT_NOTE)
    height, width = rgb.shape[:2]
    part = heatmap.seen_part(width, height)
    paint = np.empty_like(rgb) if _is_all(part, rgb) else _unseen(rgb, part)
    paint[part] = cv2.applyColorMap(_levels(heatmap, width, height)[part], colours)
    return _u8(cv2.addWeighted(rgb, 1.0 - alpha, paint, alpha, 0.0))


@cache
def _colours(colormap: str) -> RGB:
    """256 RGB colours, cold to hot: uint8 (256, 1, 3)."""
    offered = get_args(Colormap)
    if colormap not in offered:
        raise InvalidOptions(
            f"colormap {colormap!r} is not offered; there is {', '.join(offered)}",
            field="options.colormap",
        )
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    bgr = cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{colormap.upper()}"))
    return _u8(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _levels(heatmap: Heatmap, width: int, height: int) -> RGB:
    """The positive part, 255 at its maximum: uint8 (height, width).

    Clipped before interpolation, so that cold neighbours do not eat a small hot spot.
    """
    heat = replace(heatmap, grid=heatmap.positive).over_picture(width, height)
    hottest = float(heat.max())  # 0 if all heat lies in the padding beyond the picture
    return _u8(cv2.convertScaleAbs(heat, alpha=255.0 / hottest if hottest > 0 else 0.0))


def _unseen(rgb: RGB, seen: tuple[slice, slice]) -> RGB:
    """Grey and darker, with a white line around the seen part, which is still to be painted."""
    grey = cv2.convertScaleAbs(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), alpha=UNSEEN_LIGHT)
    rows, columns = seen
    corner, opposite = (columns.start - 1, rows.start - 1), (columns.stop, rows.stop)
    cv2.rectangle(grey, corner, opposite, color=255)
    return _u8(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def _is_all(part: tuple[slice, slice], rgb: RGB) -> bool:
    return part == (slice(0, rgb.shape[0]), slice(0, rgb.shape[1]))


def _composed(head: RGB, left: RGB, right: RGB, *, canvas_px: int, gap: int) -> RGB:
    height, width = right.shape[:2]
    top = gap + head.shape[0]
    canvas = np.full((top + gap + height + gap, canvas_px, 3), 255, np.uint8)
    canvas[gap:top, gap : gap + head.shape[1]] = head
    margin = (canvas_px - 2 * width - gap) // 2
    canvas[top + gap : top + gap + height, margin : margin + width] = left
    start = margin + width + gap
    canvas[top + gap : top + gap + height, start : start + width] = right
    return canvas


def _u8(image: npt.ArrayLike) -> RGB:
    """OpenCV's stubs do not say dtypes; this tells mypy, and copies nothing."""
    return np.asarray(image, dtype=np.uint8)
