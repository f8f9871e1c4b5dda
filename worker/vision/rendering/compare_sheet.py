"""A compare sheet: a picture, and one column for every map of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker.vision.heatmaps.heatmap import Heatmap
from worker.vision.rendering.overlay import RGB, overlay, scaled_to
from worker.vision.rendering.text import title_strip

LEAST_COLUMN_PX = 192
"""A column is never narrower, so a sheet of many maps may be wider than `max_side_px`."""

ORIGINAL = "原图"

_GAP_PX = 12


def sheet(
    rgb: RGB,
    columns: Sequence[tuple[str, Heatmap]],
    *,
    title: str,
    colormap: str = "jet",
    alpha: float = 0.5,
    max_side_px: int = 1024,
) -> RGB:
    """The picture and its maps side by side on white, each under its caption: uint8 RGB.

    Args:
        rgb: uint8 (h, w, 3).
        columns: caption and map, left to right behind the picture.

    Raises:
        InvalidOptions: an unknown colormap, or alpha outside 0..1.
        FontMissing: no font with Chinese glyphs is installed.
    """
    column_px = max(LEAST_COLUMN_PX, max_side_px // (len(columns) + 1) - _GAP_PX)
    small = scaled_to(rgb, max_width_px=column_px, max_height_px=max_side_px)
    drawn = [
        overlay(small, heatmap, colormap=colormap, alpha=alpha, max_side_px=max(small.shape))
        for _, heatmap in columns
    ]
    captions = _strips([ORIGINAL, *(caption for caption, _ in columns)], column_px)
    head = title_strip(
        title, width_px=_width(len(columns) + 1, column_px), max_height_px=96, size_px=24
    )
    return _composed(head, captions, [small, *drawn], column_px)


def _strips(captions: Sequence[str], column_px: int) -> list[RGB]:
    """The captions, all as high as the highest."""
    strips = [
        title_strip(caption, width_px=column_px, max_height_px=96, size_px=15)
        for caption in captions
    ]
    height = max(len(strip) for strip in strips)
    return [
        np.pad(strip, ((0, height - len(strip)), (0, 0), (0, 0)), constant_values=255)
        for strip in strips
    ]


def _composed(head: RGB, captions: Sequence[RGB], panels: Sequence[RGB], column_px: int) -> RGB:
    inner = _width(len(panels), column_px)
    below = _GAP_PX + len(head) + _GAP_PX
    top = below + len(captions[0]) + _GAP_PX
    canvas = np.full((top + len(panels[0]) + _GAP_PX, inner + 2 * _GAP_PX, 3), 255, np.uint8)
    canvas[_GAP_PX : _GAP_PX + len(head), _GAP_PX : _GAP_PX + inner] = head
    for n, (caption, panel) in enumerate(zip(captions, panels, strict=True)):
        left = _GAP_PX + n * (column_px + _GAP_PX)
        canvas[below : below + len(caption), left : left + column_px] = caption
        left += (column_px - panel.shape[1]) // 2
        canvas[top : top + len(panel), left : left + panel.shape[1]] = panel
    return canvas


def _width(columns: int, column_px: int) -> int:
    return columns * column_px + (columns - 1) * _GAP_PX
