"""File names of downloads, so that people can tell them apart in a folder."""

from __future__ import annotations

import re
from pathlib import PurePath

from guanwu.wire.results import Explanation, ItemResult

MAX_LABEL_CHARS = 60
_UNFIT = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')  # in a name on some system


def of_labels(item: ItemResult) -> str:
    return f"{_stem(item)}_labels.json"


def of_item(item: ItemResult, kind: str, key: str) -> str:
    """Of the item's own artefact, such as `1_compare.png`."""
    return f"{_stem(item)}_{kind}{PurePath(key).suffix}"


def of_map(item: ItemResult, explanation: Explanation, kind: str, key: str) -> str:
    """Of a map's artefact, such as `1_虎斑猫_cam_overlay.png`."""
    parts = [_stem(item), *_labels(explanation), explanation.method, kind]
    return "_".join(parts) + PurePath(key).suffix


def _labels(explanation: Explanation) -> list[str]:
    target = explanation.target or {}
    named = [str(target[key]) for key in ("label", "against", "text") if target.get(key)]
    return ["-".join(_fit(name)[:MAX_LABEL_CHARS] for name in named)] if named else []


def _stem(item: ItemResult) -> str:
    """The picture's own name without its suffix."""
    name = item.image.filename or item.custom_id or f"{item.index:08d}"
    return _fit(PurePath(name).stem)


def _fit(name: str) -> str:
    return _UNFIT.sub("-", name)
