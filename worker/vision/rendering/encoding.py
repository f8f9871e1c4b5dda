"""Drawn pictures -> files, in the formats of artefacts."""

from __future__ import annotations

import cv2
import numpy as np

from worker.vision.rendering import png
from worker.vision.rendering.overlay import Image

_QUALITY = {
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 90),
    ".webp": (cv2.IMWRITE_WEBP_QUALITY, 80),
}
"""Of 100. An overlay of 480 x 320 px takes 33 kB as JPEG and 14 kB as WebP, 207 kB as PNG, and
0.5, 11 and 1.6 ms of a processor."""


def encoded(image: Image, suffix: str) -> bytes:
    """A file of an RGB picture (h, w, 3) of 8 bits; as `.png` also of grey (h, w) of 8 or 16.

    Raises:
        ValueError: another shape or type, or a suffix but `.png`, `.jpg` and `.webp`.
    """
    if suffix == ".png":
        return png.encoded(image)
    if suffix not in _QUALITY or image.ndim != 3 or image.dtype != np.uint8:
        raise ValueError(f"no {suffix} can be made of {image.dtype} {image.shape}")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(suffix, bgr, _QUALITY[suffix])
    return data.tobytes()
