"""What the engine asks of any model, whatever its family."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from worker.contract.label_set import LabelSet
from worker.vision.explain.attention import Heads
from worker.vision.explain.capture import AttentionTensors
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framing
from worker.vision.models.registry.specs import Capabilities, ModelSpec
from worker.vision.scoring.prototypes import Prototypes


@dataclass(frozen=True, kw_only=True)
class ForwardOutputs:
    """What one forward pass of N equal shapes leaves for labels and maps.

    Attributes:
        logits: (N, classes), or None without a head.
        features: (N, channels, gh, gw) before a global average pooling, or None.
        grid: (gh, gw) of the maps.
        attention: of every layer (N, heads, prefix tokens, tokens), or empty.
        attended: what every layer's attention got, or empty.
        image_tokens: (N, CLS and patches, channels), what texts attend to, or None.
        pooling: of a pooling head (N, heads, 1, patches), or None.
        traces: what gradients can be asked of, by the kind of pass.
    """

    logits: Tensor | None
    grid: tuple[int, int]
    features: Tensor | None = None
    attention: tuple[Tensor, ...] = ()
    attended: tuple[AttentionTensors, ...] = ()
    image_tokens: Tensor | None = None
    pooling: Tensor | None = None
    traces: Mapping[str, GradientTrace] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AttentionView:
    """How a map of attention is read: of which layer, negative from the end, and which heads."""

    layer: int = -1
    heads: Heads = "mean"


LAST_LAYER = AttentionView()


class VisionModel(Protocol):
    """A loaded model. Everything but `framing` is used by the model thread only."""

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    capabilities: Capabilities
    placement: Placement
    min_map_cells: int
    """Maps of fewer cells are cut finer before faithfulness ranks them; see `Probed`."""

    def with_labels(self, labels: LabelSet | None) -> VisionModel:
        """The model with these labels, if its vocabulary is open; itself otherwise, and for
        None."""
        ...

    def with_prototypes(self, labels: LabelSet, prototypes: Prototypes) -> VisionModel:
        """The model with these labels, one a prototype, instead of its own or any texts. Same id
        and weights; none are copied.

        Raises:
            CheckpointInvalid: there are more prototypes than labels, or fewer.
            InvalidOptions: the family takes no prototypes.
        """
        ...

    def embed(self, pixels: Tensor, cells: Tensor | None = None) -> Tensor:
        """What a head would read of uint8 (N, h, w, 3): float32 (N, channels), of any length.

        With `cells`, bool (N, gh, gw) and equally many in each, of what those show alone, as in
        `show`.

        Raises:
            InvalidOptions: the family takes no prototypes.
        """
        ...

    def forward(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> ForwardOutputs:
        """One forward pass over uint8 (N, h, w, 3) on the model's device.

        `methods` says what the maps to come will read. Without `classify` the logits may
        be left out.
        """
        ...

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        """Logits, float32 (N, classes), of pictures of which only some cells are shown.

        `cells` is bool (N, gh, gw), equally many in each. Tokens of the others are dropped, or
        their pixels blurred.
        """
        ...

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
        """Maps of every picture of the batch, float32 (N, gh, gw).

        `classes` (N,) are the labels to explain; None for label-free methods. With `against`
        (N,) the map says why not those labels. `text` is the phrase that a map of text
        explains. `reading` is for maps of attention.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class GradientTrace:
    """What a forward pass left, as part of its graph.

    Attributes:
        logits: (N, classes), or None without a head.
        embedding: (N, channels), what the head reads; without a head the pooled tokens.
        hidden: inputs of the blocks that were asked for, each (N, tokens, channels).
        attended: what attention got and gave, by layer from 0, if asked for.
        by_layer: (layers, N, classes), logits as if each block were the last, if asked for.
    """

    logits: Tensor | None
    embedding: Tensor
    hidden: tuple[Tensor, ...] = ()
    attended: Mapping[int, AttentionTensors] = field(default_factory=dict)
    by_layer: Tensor | None = None
