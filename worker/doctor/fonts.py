"""Fonts: Chinese titles are letters, not boxes (tofu)."""

from __future__ import annotations

from PIL import ImageFont

from worker.contract.errors import FontMissing
from worker.contract.finding import Finding, problem
from worker.vision.rendering.fonts import font, font_file

SUBJECT = "fonts"
SAMPLE = "观物识别虎斑猫西装领带熊猫鲸鲨馄饨锅，。"  # of names that titles have
NOBODYS = "\U0010fffd"  # no font has it
SIZE_PX = 24
REMEDY = (
    "install the Python package pylopdf-fonts-zh-cn or the system package fonts-noto-cjk, "
    "then restart the workers"
)


def examine() -> list[Finding]:
    try:
        path, _ = font_file()
        return [judge(font(SIZE_PX), name=path.name)]
    except FontMissing:
        return [problem(SUBJECT, "no font has Chinese glyphs", remedy=REMEDY)]
    except OSError as exc:
        return [problem(SUBJECT, f"{path.name} cannot be read ({exc})", remedy=REMEDY)]


def judge(face: ImageFont.FreeTypeFont, *, name: str) -> Finding:
    """A glyph that is missing is drawn like one that nobody has."""
    box = _draw(face, NOBODYS)
    missing = "".join(c for c in SAMPLE if _draw(face, c) == box)
    if missing:
        return problem(SUBJECT, f"{name} lacks {missing}: titles have boxes there", remedy=REMEDY)
    return Finding(SUBJECT, f"{name} has Chinese glyphs")


def _draw(face: ImageFont.FreeTypeFont, character: str) -> bytes:
    return bytes(face.getmask(character))
