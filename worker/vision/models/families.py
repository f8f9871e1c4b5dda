"""Which family a checkpoint folder is of: its files tell. Loads no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

Family = Literal["cnn", "resnest", "vit"]

RESNEST_WEIGHTS = "pytorch_model.pt"
RESNEST_NAMES = "meta_info.txt"

CNN_TYPES = frozenset({"resnet", "convnext", "convnextv2"})
"""`model_type` of transformers' classifiers that end in global average pooling."""


def family_of(folder: Path) -> Family:
    """The family of a folder; `vit` where nothing tells, whose loader then says what is amiss."""
    config = folder / "config.json"
    own = [(folder / name).is_file() for name in (RESNEST_WEIGHTS, RESNEST_NAMES)]
    if all(own) or (any(own) and not config.is_file()):
        return "resnest"
    return "cnn" if _model_type(config) in CNN_TYPES else "vit"


def _model_type(config: Path) -> str | None:
    try:
        described = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return described.get("model_type") if isinstance(described, dict) else None
