"""Files of artefacts: suffix and media type of each format."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

OverlayFormat = Literal["png", "jpeg", "webp"]

SUFFIXES: dict[OverlayFormat, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}

_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}


def media_type(key: str) -> str:
    """Of an artefact's picture, by its key's suffix."""
    return _TYPES[PurePath(key).suffix]
