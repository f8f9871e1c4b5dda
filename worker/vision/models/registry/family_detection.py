"""Which family a checkpoint folder is of: its files tell. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Family = Literal["blip", "clip", "cnn", "resnest", "vit"]
Language = Literal["zh", "en"]
"""Of a label's names."""

DINO_SUFFIX = ".pth"  # of a file that is named in place of a folder
RESNEST_WEIGHTS = "pytorch_model.pt"
RESNEST_NAMES = "meta_info.txt"

CNN_TYPES = frozenset({"resnet", "convnext", "convnextv2"})
"""`model_type` of transformers' classifiers that end in global average pooling."""

BLIP_TYPE = "blip"
"""`model_type` of models that match a text with a picture."""

CLIP_TYPES = frozenset({"chinese_clip", "clip", "siglip", "siglip2"})
"""`model_type` of models that read text. A classifier made of such a vision half is a `vit`."""


def family_of(folder: Path) -> Family:
    """The family of a folder; `vit` where nothing tells, whose loader then says what is amiss."""
    config = folder / "config.json"
    own = [(folder / name).is_file() for name in (RESNEST_WEIGHTS, RESNEST_NAMES)]
    if all(own) or (any(own) and not config.is_file()):
        return "resnest"
    described = _described(config)
    kind = described.get("model_type")
    if kind == BLIP_TYPE:
        return "blip"
    if kind in CLIP_TYPES and not _classifies(described):
        return "clip"
    return "cnn" if kind in CNN_TYPES else "vit"


def _classifies(described: Mapping[str, Any]) -> bool:
    named = described.get("architectures") or []
    return any(str(name).endswith("ForImageClassification") for name in named)


def _described(config: Path) -> Mapping[str, Any]:
    try:
        described = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}
