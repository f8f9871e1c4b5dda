"""Coarse maps as PNG: one pixel a cell.

Written by hand: the front door has no imaging library, and worker/vision has its own writer for
large pictures.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

Grid = Sequence[Sequence[float]]  # rows of cells, not negative


def jet(value: float) -> tuple[int, int, int]:
    """The colour of 0 (blue) to 1 (red), as heatmaps have it."""
    red, green, blue = (1.5 - abs(4 * value - peak) for peak in (3, 2, 1))
    return (_byte(red), _byte(green), _byte(blue))


def encode(grid: Grid) -> str:
    """The grid as a `data:` URI of a PNG, its highest cell hottest; browsers smooth it."""
    highest = max((cell for row in grid for cell in row), default=0) or 1
    rows = (
        b"\0" + b"".join(bytes(jet(cell / highest)) for cell in row)  # 0: the row is as it is
        for row in grid
    )
    size = struct.pack(">IIBBBBB", len(grid[0]), len(grid), 8, 2, 0, 0, 0)  # 8 bits of RGB
    png = b"\x89PNG\r\n\x1a\n" + _piece(b"IHDR", size)
    png += _piece(b"IDAT", zlib.compress(b"".join(rows))) + _piece(b"IEND", b"")
    return to_data_uri(png, "image/png")


def to_data_uri(body: bytes, mimetype: str) -> str:
    return f"data:{mimetype};base64,{base64.b64encode(body).decode()}"


def _piece(kind: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check


def _byte(part: float) -> int:
    return round(255 * min(1.0, max(0.0, part)))
