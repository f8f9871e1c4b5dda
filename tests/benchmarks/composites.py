"""Pictures of two things side by side, and where each is."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

SIDE_PX = 320
_GREY = 128


@dataclass(frozen=True, eq=False)
class Composite:
    """A square picture.

    Attributes:
        rgb: uint8 (SIDE_PX, SIDE_PX, 3).
        box_px: of the first thing, x0, y0, x1, y1.
    """

    rgb: Rgb
    box_px: Box


def beside(first: Rgb, second: Rgb, chance: random.Random) -> Composite:
    """Two pictures, each whole in a half of its own, on either side and at any height."""
    canvas = np.full((SIDE_PX, SIDE_PX, 3), _GREY, np.uint8)
    sides = [0, SIDE_PX // 2]
    chance.shuffle(sides)
    boxes = [
        _put(canvas, rgb, left, chance) for rgb, left in zip((first, second), sides, strict=True)
    ]
    return Composite(canvas, boxes[0])


def points_inside(heat: npt.NDArray[np.float32], box_px: Box) -> bool:
    """Does the hottest cell of a map (gh, gw) of a whole composite have its centre in the box?
    Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop", call it a hit."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    x = (column + 0.5) * SIDE_PX / heat.shape[1]
    y = (row + 0.5) * SIDE_PX / heat.shape[0]
    return bool(box_px[0] <= x < box_px[2] and box_px[1] <= y < box_px[3])


def _put(canvas: Rgb, rgb: Rgb, left: int, chance: random.Random) -> Box:
    half = SIDE_PX // 2
    scale = half / max(rgb.shape[:2])
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    top = chance.randint(0, SIDE_PX - height)
    left += (half - width) // 2
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    canvas[top : top + height, left : left + width] = small
    return left, top, left + width, top + height
