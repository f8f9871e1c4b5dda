"""A classifier of convolutions and a pooled head: what the families cnn and resnest share."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from guanwu.wire.capabilities import Capabilities
from worker.contract.errors import ExplanationUnavailable
from worker.contract.label_set import LabelSet
from worker.vision.explain.cam import class_activation
from worker.vision.explain.layercam import layer_activation
from worker.vision.models.convolutional.pooled_head import PooledHead
from worker.vision.models.interface import occlusion
from worker.vision.models.interface.model import (
    LAST_LAYER,
    AttentionView,
    ForwardOutputs,
    GradientTrace,
)
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.config import Normalisation
from worker.vision.models.preprocessing.framing import Framing
from worker.vision.models.registry.families import CNN_METHODS
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.scoring.prototypes import Prototypes

_FINER = 2  # layercam's cells along an axis, for each of the last features'


class Convolutions(Protocol):
    """Layers before the head. Input is (N, 3, h, w)."""

    def features(self, x: Tensor) -> Tensor:
        """The last feature maps, (N, channels, gh, gw)."""
        ...

    def traced(self, x: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Activations that layercam reads, the last at the features' size, and the last feature
        maps.

        The former not negative and (N, any, h, w), all of one graph that begins at the first.
        """
        ...


@dataclass(kw_only=True)
class ConvolutionalClassifier:
    """Convolutions, a head and the labels it scores; class activation maps are exact."""

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    capabilities: Capabilities
    network: Convolutions
    head: PooledHead
    normalisation: Normalisation
    placement: Placement
    min_map_cells: int = 100

    def with_labels(self, labels: LabelSet | None) -> ConvolutionalClassifier:
        return self

    def with_prototypes(self, labels: LabelSet, prototypes: Prototypes) -> ConvolutionalClassifier:
        prototypes.check(labels)
        return replace(
            self,
            head=self.head.with_prototypes(prototypes, self.placement.device),
            labels=labels,
            capabilities=self.capabilities.with_prototypes(
                labels.id, len(labels), self.capabilities.methods
            ),
        )

    def embed(self, pixels: Tensor, cells: Tensor | None = None) -> Tensor:
        shown = pixels if cells is None else occlusion.blur_beyond(pixels, cells)
        return self.head.embedding(self.network.features(self.normalised(shown))).float()

    def forward(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> ForwardOutputs:
        x = self.normalised(pixels)
        if "layercam" in methods:
            return self._traced(x)
        features = self.network.features(x)
        return ForwardOutputs(
            logits=self.head.logits(features).float(), features=features, grid=_grid(features)
        )

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        x = self.normalised(occlusion.blur_beyond(pixels, cells))
        return self.head.logits(self.network.features(x)).float()

    def normalised(self, pixels: Tensor) -> Tensor:
        """0..255 (N, h, w, 3) -> the network's (N, 3, h, w), channels last like the bytes."""
        return self.normalisation.of(pixels, dtype=self.placement.dtype)

    def explain(
        self,
        method: str,
        outputs: ForwardOutputs,
        classes: Tensor | None,
        *,
        against: Tensor | None = None,
        text: str | None = None,
        view: AttentionView = LAST_LAYER,
    ) -> Tensor:
        if method == "cam" and outputs.features is not None and classes is not None:
            rows = self.head.rows(outputs.features, classes)
            if against is not None:
                rows = rows - self.head.rows(outputs.features, against)
            return class_activation(outputs.features, rows)
        if method == "layercam" and "layercam" in outputs.traces and classes is not None:
            return _fine(outputs, classes, against)
        raise ExplanationUnavailable(f"{self.spec.id} makes no {method!r} map of that kind")

    def _traced(self, x: Tensor) -> ForwardOutputs:
        layers, features = self.network.traced(x)
        with torch.inference_mode(False), torch.enable_grad():
            logits = self.head.logits(features)
        features = features.detach()
        gradient_trace = GradientTrace(
            logits=logits, embedding=features.mean((2, 3)), hidden=tuple(layers)
        )
        return ForwardOutputs(
            logits=logits.detach().float(),
            features=features,
            grid=_grid(features),
            traces={"layercam": gradient_trace},
        )


def capabilities_of(labels: LabelSet) -> Capabilities:
    """Capabilities of any model of this kind."""
    return Capabilities(classes=len(labels), methods=CNN_METHODS, label_set=labels.id)


def settle(network: nn.Module, placement: Placement) -> None:
    """Put a network where it runs, for evaluation only, channels last like the pictures."""
    network.eval().requires_grad_(False)
    network.to(placement.device, placement.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _grid(features: Tensor) -> tuple[int, int]:
    return features.shape[2], features.shape[3]


def _fine(outputs: ForwardOutputs, classes: Tensor, against: Tensor | None) -> Tensor:
    gradient_trace = outputs.traces["layercam"]
    assert gradient_trace.logits is not None, "these families have a head"
    with torch.inference_mode(False), torch.enable_grad():
        chosen = gradient_trace.logits.gather(1, classes.clone()[:, None])[:, 0]
        if against is not None:
            chosen = chosen - gradient_trace.logits.gather(1, against.clone()[:, None])[:, 0]
    grid = (_FINER * outputs.grid[0], _FINER * outputs.grid[1])
    return layer_activation(chosen, gradient_trace.hidden, grid=grid)
