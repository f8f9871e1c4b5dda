"""Pixels of any Pillow mode -> 8-bit RGB."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.contract.errors import UnsupportedImage

RGB = npt.NDArray[np.uint8]

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_BAND_BYTES = 2**18


def to_rgb(image: Image.Image) -> RGB:
    """A loaded image as uint8 (h, w, 3), contiguous, ours to write to.

    Transparent pixels are laid on white. 16-bit and float greys are scaled, not clipped.
    CMYK is converted without its ICC profile.

    Raises:
        UnsupportedImage: a mode that has no conversion (LAB).
    """
    if image.mode in _DEEP:
        return _from_deep_grey(image)
    if image.mode not in _PLAIN + _WITH_ALPHA:
        raise UnsupportedImage(
            f"the picture's colours are {image.mode}, which Guanwu does not read; save it as RGB",
            mode=image.mode,
        )
    if image.has_transparency_data:
        image = _on_white(image)
    return _array(image if image.mode == "RGB" else image.convert("RGB"))


def _array(image: Image.Image) -> RGB:
    """An RGB image as an array, copied in bands.

    `np.asarray` of a whole image builds it three times over; with fresh memory that costs
    more than the JPEG decoder (3 megapixels: 18 ms, in bands 3 ms).
    """
    width, height = image.size
    rows = max(1, _BAND_BYTES // (3 * width))
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        rgb[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return rgb


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # 16 bits a channel: Pillow keeps the high byte of pixels, but all of the colour key
        image.info["transparency"] = tuple(value >> 8 for value in key)
    seen = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(seen, mask=seen)
    return white


def _from_deep_grey(image: Image.Image) -> RGB:
    """Greys of more than 8 bits.

    16 bits span 0..65535. For 32 bits and floats no file says the span: it is the least of
    0..1 (floats), 0..255 and 0..65535 that holds all values, else from minimum to maximum.
    """
    grey = np.asarray(image)
    grey = grey.astype(grey.dtype.newbyteorder("="), copy=False)
    key = image.info.get("transparency")
    see_through = grey == key if isinstance(key, int) else None
    lowest, highest = (0.0, 65535.0) if grey.dtype.itemsize == 2 else _span(grey)
    if grey.dtype.kind == "f":
        grey = np.nan_to_num(grey, nan=lowest, posinf=highest, neginf=lowest)
    if lowest:
        grey = grey.astype(np.float64) - lowest
    level = cv2.convertScaleAbs(grey, alpha=255.0 / (highest - lowest))
    if see_through is not None:
        level[see_through] = 255
    return np.asarray(cv2.cvtColor(level, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _span(grey: npt.NDArray[np.generic]) -> tuple[float, float]:
    values = grey[np.isfinite(grey)] if grey.dtype.kind == "f" else grey
    if values.size == 0:
        return 0.0, 1.0
    lowest, highest = float(values.min()), float(values.max())
    tops = (1.0, 255.0, 65535.0) if grey.dtype.kind == "f" else (255.0, 65535.0)
    for top in tops:
        if lowest >= 0 and highest <= top:
            return 0.0, top
    return lowest, highest if highest > lowest else lowest + 1.0
