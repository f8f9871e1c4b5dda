"""PNG encoder, at a quarter of OpenCV's processor time.

All rows get one filter, which numpy applies to the whole picture at once, and ISA-L deflates
them: colours Up (each byte less the one above it), greys Sub (less that of the pixel before it).
Measured beside OpenCV's level 1 with the filter that gives the fewest bytes: overlays of photos
4.7 times as fast and 5 % larger, 16-bit maps 5 times and 6 % smaller, figures 5 times and 7 %
larger. Paeth for colours would save the 5 %, and cost more than all of this.

The format: ISO/IEC 15948, "Portable Network Graphics (PNG): Functional specification".
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2  # colour types
_SUB, _UP = 1, 2  # filter types
_LEVEL = 1  # ISA-L's next two save 1 % in up to twice the time


def encoded(pixels: Pixels) -> bytes:
    """A PNG file of RGB (h, w, 3) of 8 bits, or of grey (h, w) of 8 or 16.

    Raises:
        ValueError: another shape or type, or no pixels.
    """
    colour = {(3, "uint8"): _RGB, (2, "uint8"): _GREY, (2, "uint16"): _GREY}.get(
        (pixels.ndim, str(pixels.dtype))
    )
    if colour is None or pixels.size == 0 or (colour == _RGB and pixels.shape[2] != 3):
        raise ValueError(f"no PNG can be made of {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour, 0, 0, 0)
    rows = isal_zlib.compress(_filtered(pixels), _LEVEL)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", rows), _chunk(b"IEND", b""))
    return b"".join((_SIGNATURE, *parts))


def _filtered(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Filter type and filtered bytes of every row: uint8 (h, 1 + bytes of a row)."""
    height = pixels.shape[0]
    big_endian = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(">"))
    flat = big_endian.view(np.uint8).reshape(height, -1)
    rows = np.empty((height, 1 + flat.shape[1]), np.uint8)
    if pixels.ndim == 3:
        rows[:, 0] = _UP
        rows[0, 1:] = flat[0]
        np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])  # modulo 256
    else:
        step = big_endian.itemsize
        rows[:, 0] = _SUB
        rows[:, 1 : 1 + step] = flat[:, :step]
        np.subtract(flat[:, step:], flat[:, :-step], out=rows[:, 1 + step :])
    return rows


def _chunk(name: bytes, data: bytes) -> bytes:
    checked = name + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", isal_zlib.crc32(checked))
