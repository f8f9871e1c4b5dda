"""Tiny pictures with a number: their colour."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE_PX = 8


def picture(number: int) -> bytes:
    """A PNG of one colour, 0 <= number < 2**24."""
    colour = (number >> 16, number >> 8 & 255, number & 255)
    file = BytesIO()
    Image.new("RGB", (SIDE_PX, SIDE_PX), colour).save(file, "PNG")
    return file.getvalue()


def number_of(rgb: npt.NDArray[np.uint8]) -> int:
    """The number of a picture, uint8 (h, w, 3)."""
    red, green, blue = (int(level) for level in rgb[0, 0])
    return red << 16 | green << 8 | blue
