"""A font with Chinese glyphs: Noto Sans SC from its package, else one of the system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path

from PIL import ImageFont

from worker.contract.errors import FontMissing

PACKAGE = "pylopdf_fonts_zh_cn"

SYSTEM_FILES = (
    "NotoSansSC-Regular.otf",
    "NotoSansSC-Regular.ttf",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansCJK-Regular.ttc",
    "SourceHanSansSC-Regular.otf",
    "SourceHanSansCN-Regular.otf",
    "SourceHanSans.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "STHeiti Medium.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "simhei.ttf",
)
"""Fonts with simplified Chinese glyphs by file name, the preferred first."""


@lru_cache(maxsize=64)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The Chinese font at an em size of `size_px`.

    Raises:
        FontMissing: neither the font package nor a known system font is installed.
    """
    path, index = font_file()
    return ImageFont.truetype(path, size_px, index=index, layout_engine=ImageFont.Layout.BASIC)


@cache
def font_file() -> tuple[Path, int]:
    """The font's file and the index of the face in it.

    Raises:
        FontMissing: neither the font package nor a known system font is installed.
    """
    path = packaged_font() or system_font(system_directories())
    if path is None:
        raise FontMissing(
            "no font with Chinese glyphs is installed, so figures cannot carry their titles; "
            "install the Python package pylopdf-fonts-zh-cn or the system package fonts-noto-cjk"
        )
    return path, _simplified_face(path)


def packaged_font() -> Path | None:
    """Noto Sans SC of the font package, or None if that is not installed."""
    try:
        path = Path(import_module(PACKAGE).sans_path())
    except (ImportError, AttributeError):
        return None
    return path if path.is_file() else None


def system_font(directories: Iterator[Path]) -> Path | None:
    """The most preferred of `SYSTEM_FILES` below the directories."""
    found: dict[str, Path] = {}
    for directory in directories:
        for parent, _, names in os.walk(directory):
            for name in names:
                found.setdefault(name, Path(parent, name))
    return next((found[name] for name in SYSTEM_FILES if name in found), None)


def system_directories() -> Iterator[Path]:
    """Folders of fonts on Linux, macOS and Windows; not all of them exist."""
    home = Path.home()
    yield home / ".local/share/fonts"
    yield home / ".fonts"
    yield Path("/usr/local/share/fonts")
    yield Path("/usr/share/fonts")
    yield home / "Library/Fonts"
    yield Path("/Library/Fonts")
    yield Path("/System/Library/Fonts")
    yield Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts")


def _simplified_face(path: Path) -> int:
    """In a collection, the face with mainland glyph forms (Noto CJK: "SC"), else the first."""
    if path.suffix.lower() != ".ttc":
        return 0
    for index in range(16):
        try:
            family = ImageFont.truetype(path, 16, index=index).getname()[0] or ""
        except OSError:
            break
        if family.endswith(" SC"):
            return index
    return 0
