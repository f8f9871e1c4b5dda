"""Family clip: CLIP, Chinese-CLIP, SigLIP and SigLIP 2 in transformers' layout.

Labels are texts, so any label set can be asked for, and any words of a job's own. What
explains a label explains it here as well: to `vit`, the vision half with the label set's texts
for a head is a classifier like any other.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from guanwu.wire.capabilities import Capabilities
from worker.contract.errors import CheckpointInvalid
from worker.contract.label_set import LabelSet
from worker.vision.explain.pooling import pooling_head, read_pooling
from worker.vision.explain.relevance import relevance
from worker.vision.labels.shipped import load_label_set
from worker.vision.models.families import vit
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.model import ForwardOutputs
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing import config as preprocessing
from worker.vision.models.registry.configured import ConfiguredModel, Language
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.models.transformer import maps
from worker.vision.models.transformer.architecture import Architecture, inspect
from worker.vision.models.transformer.text_tower import (
    DEFAULT_LABELS,
    SENTENCES,
    TextTower,
    tokenizer_of,
)
from worker.vision.models.transformer.zero_shot import ZeroShotNetwork
from worker.vision.models.weights.cache import Progress
from worker.vision.scoring.prototypes import Prototypes

MULTILINGUAL_VOCABULARY = 200_000  # tokens; SigLIP 2 has Gemma's 256,000, all others far fewer


@dataclass(kw_only=True)
class ZeroShotTransformer(VisionTransformer):
    """A vision transformer that scores any labels. Before it is `speaking` it has none ready."""

    texts: TextTower

    def forward(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> ForwardOutputs:
        head = pooling_head(self.network) if "pooling" in methods else None
        with read_pooling(head) as read:
            outputs = super().forward(pixels, methods=methods, classify=classify)
        return replace(outputs, pooling=read[0] if read else None)

    def with_labels(self, labels: LabelSet | None) -> ZeroShotTransformer:
        if not self.capabilities.open_vocabulary:  # it has prototypes
            return self
        labels = labels or self.labels
        assert labels is not None
        return replace(
            self,
            network=cast(PreTrainedModel, self._network.with_texts(self.texts.of_labels(labels))),
            labels=labels,
            capabilities=self.capabilities.with_labels(labels.id, len(labels)),
        )

    def with_prototypes(self, labels: LabelSet, prototypes: Prototypes) -> ZeroShotTransformer:
        prototypes.check(labels)
        network = self._network.with_prototypes(prototypes, self.placement.device)
        return replace(
            self,
            network=cast(PreTrainedModel, network),
            labels=labels,
            capabilities=self._prototype_capabilities(labels),
        )

    def explain_phrase(self, method: str, outputs: ForwardOutputs, text: str) -> Tensor | None:
        gradient_trace = outputs.traces.get(maps.RULES)
        if method not in self.capabilities.text_methods or gradient_trace is None:
            return None
        phrase = self.texts.of_phrase(text)
        with torch.inference_mode(False), torch.enable_grad():
            explained = self._network.unchanged_length(gradient_trace.embedding, phrase.clone())
        return relevance(explained, gradient_trace.hidden, grid=outputs.grid)

    def _embedding(self, x: Tensor) -> Tensor:
        projected: Tensor = self._network.projection(super()._embedding(x))
        return projected

    @property
    def _network(self) -> ZeroShotNetwork:
        return cast(ZeroShotNetwork, self.network)


def load(
    spec: ModelSpec, placement: Placement, *, model_dir: Path | None, progress: Progress
) -> ZeroShotTransformer:
    """Fetch and build the model.

    Raises:
        ModelUnavailable: the files cannot be fetched.
        CheckpointInvalid: the files are not a checkpoint of this family.
        ExplanationUnavailable: the architecture hides its attention.
    """
    files, towers = vit.fetch_and_build(spec, model_dir=model_dir, progress=progress)
    if not hasattr(towers, "get_text_features"):
        raise CheckpointInvalid(
            f"{type(towers).__name__} reads no text; the family clip takes CLIP, Chinese-CLIP, "
            "SigLIP and SigLIP 2"
        )
    nn.Module.to(towers, placement.device)
    network = ZeroShotNetwork(towers)
    network.to(placement.device, placement.dtype)  # its texts are kept, so they stay float32
    framing, normalisation = preprocessing.read(files.folder)
    architecture = inspect(cast(PreTrainedModel, network), framing, placement)
    configured = spec.configured or ConfiguredModel(source=str(spec.source))
    labels = load_label_set(configured.labels or DEFAULT_LABELS)
    read = configured.language or language(towers.config)
    return ZeroShotTransformer(
        spec=spec,
        revision=files.revision,
        weights_sha256=files.weights_sha256,
        labels=labels,
        framing=framing,
        capabilities=_zero_shot_capabilities(network, architecture, labels),
        network=cast(PreTrainedModel, network),
        architecture=architecture,
        normalisation=normalisation,
        placement=placement,
        entrance=vit.entrance(cast(PreTrainedModel, network), architecture, framing, placement),
        texts=TextTower(
            towers=towers,
            tokenizer=tokenizer_of(files.folder),
            language=read,
            sentences=configured.sentences or SENTENCES[read],
            weights_sha256=files.weights_sha256,
            model_dir=model_dir,
            progress=progress,
        ),
    )


def _zero_shot_capabilities(
    network: ZeroShotNetwork, architecture: Architecture, labels: LabelSet
) -> Capabilities:
    capabilities = maps.capabilities_of(architecture, labels)
    label_free = capabilities.label_free_methods
    return capabilities.model_copy(
        update={
            "label_free_methods": (*label_free, "pooling") if pooling_head(network) else label_free,
            "text_methods": ("text",) if architecture.blocks else (),
            "open_vocabulary": True,
        }
    )


def language(config: Any) -> Language:
    """The language of a label's two names that the model reads best."""
    tokens = config.text_config.vocab_size
    chinese = config.model_type == "chinese_clip" or tokens > MULTILINGUAL_VOCABULARY
    return "zh" if chinese else "en"
