"""What the engine asks of any model, whatever its family."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from worker.vision.labels.label_set import LabelSet
from worker.vision.models.framing import Framing
from worker.vision.models.placement import Placement
from worker.vision.models.registry import ModelSpec, Offer


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one forward pass of N equal shapes leaves for labels and maps.

    Attributes:
        logits: (N, classes), or None without a head.
        features: (N, channels, gh, gw) before a global average pooling, or None.
        attention: (N, heads, prefix tokens, tokens) of the last layer, or None.
        grid: (gh, gw) of the maps.
    """

    logits: Tensor | None
    grid: tuple[int, int]
    features: Tensor | None = None
    attention: Tensor | None = None


class VisionModel(Protocol):
    """A loaded model. Everything but `framing` is used by the model thread only."""

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    offer: Offer
    placement: Placement

    def look(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> Evidence:
        """One forward pass over uint8 (N, h, w, 3) on the model's device.

        `methods` says what the maps to come will read. Without `classify` the logits may
        be left out.
        """
        ...

    def maps(self, method: str, evidence: Evidence, classes: Tensor | None) -> Tensor:
        """Maps of every picture of the batch, float32 (N, gh, gw).

        `classes` (N,) are the labels to explain; None for label-free methods.
        """
        ...
