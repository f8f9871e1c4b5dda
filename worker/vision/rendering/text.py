"""Text on pictures: titles that fit, and notes that cannot be overlooked."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from worker.vision.rendering.fonts import font

RGB = npt.NDArray[np.uint8]

SMALLEST_PX = 10
LINE_HEIGHT = 1.4
"""Of a line of text, in em; Noto Sans SC reaches from 1.16 above to 0.29 below the base line."""

_INK = (24, 24, 24)
_WARNING = (176, 0, 32)
_PIECES = re.compile(
    r"\s+|[\u2e80-\uffff\U00020000-\U0003ffff]|[^\s\u2e80-\uffff\U00020000-\U0003ffff]+"
)
"""Where a line may break: at blanks and around every Chinese character."""


def title_strip(title: str, *, width_px: int, max_height_px: int, size_px: int) -> RGB:
    """The title, centred, dark on white: uint8 (h, width_px, 3), h as the lines need.

    It first takes a second line, then shrinks to `SMALLEST_PX`, then takes more lines up to
    `max_height_px`; what still does not fit ends in an ellipsis.
    """
    face, lines = _fitted(title, width_px, max_height_px, size_px)
    line_px = _line_px(face)
    strip = Image.new("RGB", (width_px, line_px * len(lines)), "white")
    draw = ImageDraw.Draw(strip)
    for n, line in enumerate(lines):
        draw.text((width_px / 2, line_px * (n + 0.5)), line, _INK, face, anchor="mm")
    return np.array(strip)


def with_note(rgb: RGB, note: str) -> RGB:
    """The picture with a banner at its lower edge: uint8, same shape.

    A picture too small for legible letters stays as it is.
    """
    height, width = rgb.shape[:2]
    size_px = max(SMALLEST_PX, min(28, width // 16))
    face, lines = _fitted(note, width - 8, height, size_px)
    banner_px = _line_px(face) * len(lines)
    if "".join(lines).replace(" ", "") != note.replace(" ", "") or banner_px > height:
        return rgb
    strip = Image.new("RGB", (width, banner_px), _WARNING)
    draw = ImageDraw.Draw(strip)
    for n, line in enumerate(lines):
        draw.text((width / 2, _line_px(face) * (n + 0.5)), line, "white", face, anchor="mm")
    noted = rgb.copy()
    noted[height - banner_px :] = np.asarray(strip)
    return noted


def _fitted(
    text: str, width_px: int, max_height_px: int, size_px: int
) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    for size in range(max(size_px, SMALLEST_PX), SMALLEST_PX - 1, -1):
        face = font(size)
        lines = _wrapped(text, face, width_px)
        if len(lines) <= 2 and len(lines) * _line_px(face) <= max_height_px:
            return face, lines
    most = max(1, max_height_px // _line_px(face))
    if len(lines) > most:
        lines = [*lines[: most - 1], _shortened(lines[most - 1] + lines[most], face, width_px)]
    return face, lines


def _line_px(face: ImageFont.FreeTypeFont) -> int:
    return round(face.size * LINE_HEIGHT)


def _wrapped(text: str, face: ImageFont.FreeTypeFont, width_px: int) -> list[str]:
    """Lines of at most `width_px`; a longer word is broken. At least one line."""
    lines = [""]
    for piece in _PIECES.findall(text):
        if face.getlength(lines[-1] + piece.rstrip()) <= width_px:
            lines[-1] += piece
            continue
        fits = face.getlength(piece) <= width_px
        lines.append("" if fits else lines.pop())
        for part in [piece] if fits else piece:
            if lines[-1] and face.getlength(lines[-1] + part) > width_px:
                lines.append("")
            lines[-1] += part
    return [line.strip() for line in lines if line.strip()] or [""]


def _shortened(line: str, face: ImageFont.FreeTypeFont, width_px: int) -> str:
    while line and face.getlength(line + "…") > width_px:
        line = line[:-1]
    return line.rstrip() + "…"
