"""Families of models: the built-in ones, and those of the entry points `guanwu.families`.

A family says which checkpoints are its own, what they can be asked for before one is loaded, and
which function loads them. Loads no torch: the function is imported when it is first needed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from guanwu.wire.capabilities import Capabilities
from worker.vision.models.registry.plugins import PluginTable

log = logging.getLogger(__name__)

FALLBACK = "vit"
"""The family of files that no family claims: its loader says what is amiss."""

DINO_SUFFIX = ".pth"  # of a file that is named in place of a folder
RESNEST_WEIGHTS = "pytorch_model.pt"
RESNEST_NAMES = "meta_info.txt"

CNN_TYPES = frozenset({"resnet", "convnext", "convnextv2"})
"""`model_type` of transformers' classifiers that end in global average pooling."""

BLIP_TYPE = "blip"
"""`model_type` of models that match a text with a picture."""

CLIP_TYPES = frozenset({"chinese_clip", "clip", "siglip", "siglip2"})
"""`model_type` of models that read text. A classifier made of such a vision half is a `vit`."""

CNN_METHODS = ("cam", "layercam")

VIT_METHODS = ("relevance", "grad_attention", "legrad")
VIT_LABEL_FREE_METHODS = ("self_relevance", "attention", "rollout")
"""Maps of a vision transformer, best first; one without a head or a CLS token makes fewer."""

VIT_CAPABILITIES = Capabilities(methods=VIT_METHODS, label_free_methods=VIT_LABEL_FREE_METHODS)
BLIP_CAPABILITIES = Capabilities(
    methods=("cross",),
    label_free_methods=("attention",),
    text_methods=("cross",),
    open_vocabulary=True,
)

READS_TEXT = frozenset({"labels", "language", "sentences"})
"""Fields of the models file for models that read text."""


@dataclass(frozen=True)
class CheckpointFolder:
    """The files of a checkpoint, for `ModelFamily.detects`."""

    path: Path

    def holds(self, name: str) -> bool:
        return (self.path / name).is_file()

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """`config.json`; empty where there is none, or where it is no JSON object."""
        try:
            config = json.loads((self.path / "config.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return config if isinstance(config, dict) else {}


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """A family of models.

    Attributes:
        loader: `module:function`, called in the model thread as `function(spec, placement,
            model_dir=..., progress=...)`; returns a `VisionModel`. `spec.source` is then a
            `Folder`, or the `WheelFile` of a built-in model.
        detects: whether a folder is of this family. Asked after the built-in families; a
            folder that none claims is a `vit`. The models file may name the family instead.
        capabilities: what clients may ask for until a model is loaded; `VisionModel.capabilities`
            holds from then on.
        fields: of the models file that this family reads, of `READS_TEXT` and `whole_picture`.
    """

    loader: str
    detects: Callable[[CheckpointFolder], bool]
    capabilities: Capabilities
    fields: frozenset[str] = frozenset()


def family_of(folder: Path) -> str:
    """The family of a folder; `FALLBACK` if no family claims it."""
    checkpoint = CheckpointFolder(folder)
    families = FAMILIES.usable()
    return next((name for name in families if _claims(name, families[name], checkpoint)), FALLBACK)


def _claims(name: str, family: ModelFamily, checkpoint: CheckpointFolder) -> bool:
    """A plug-in that fails on a folder does not claim it; the log names it."""
    try:
        return family.detects(checkpoint)
    except Exception as exc:  # a plug-in's function may raise anything
        if (origin := FAMILIES.origin(name)) is None:
            raise
        log.warning("%s fails on %s: %s: %s", origin, checkpoint.path, type(exc).__name__, exc)
        return False


def _is_resnest(checkpoint: CheckpointFolder) -> bool:
    own = [checkpoint.holds(name) for name in (RESNEST_WEIGHTS, RESNEST_NAMES)]
    return all(own) or (any(own) and not checkpoint.holds("config.json"))


def _is_clip(checkpoint: CheckpointFolder) -> bool:
    architectures = checkpoint.config.get("architectures") or []
    classifies = any(str(name).endswith("ForImageClassification") for name in architectures)
    return checkpoint.config.get("model_type") in CLIP_TYPES and not classifies


_LOADERS = "worker.vision.models.families"

FAMILIES = PluginTable(
    "guanwu.families",
    ModelFamily,
    {
        "resnest": ModelFamily(
            loader=f"{_LOADERS}.resnest:load",
            detects=_is_resnest,
            capabilities=Capabilities(methods=CNN_METHODS),
        ),
        "clip": ModelFamily(
            loader=f"{_LOADERS}.clip:load",
            detects=_is_clip,
            capabilities=VIT_CAPABILITIES.model_copy(
                update={"text_methods": ("text",), "open_vocabulary": True}
            ),
            fields=READS_TEXT,
        ),
        "blip": ModelFamily(
            loader=f"{_LOADERS}.blip:load",
            detects=lambda checkpoint: checkpoint.config.get("model_type") == BLIP_TYPE,
            capabilities=BLIP_CAPABILITIES,
            fields=READS_TEXT,
        ),
        "cnn": ModelFamily(
            loader=f"{_LOADERS}.cnn:load",
            detects=lambda checkpoint: checkpoint.config.get("model_type") in CNN_TYPES,
            capabilities=Capabilities(methods=CNN_METHODS),
        ),
        FALLBACK: ModelFamily(
            loader=f"{_LOADERS}.vit:load",
            detects=lambda _: False,
            capabilities=VIT_CAPABILITIES,
            fields=frozenset({"whole_picture"}),
        ),
    },
)
