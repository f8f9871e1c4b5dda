"""VisionModel: the interface between the engine and a family of models.

A new family's author implements `VisionModel` and returns it from the loader that the family
registers (`worker.vision.models.registry.families`). Pixels are uint8 (N, h, w, 3) on the model's
device, N pictures of one shape as `framing` made them. Cells are those of a map, gh rows of gw,
over the whole of each input. The engine calls everything but `framing` in the model thread alone,
under `torch.no_grad()`: a model that needs gradients enables them itself.

Any method may let torch's errors pass. The engine halves a batch that does not fit the memory, and
runs a batch that fails otherwise again one by one, so that a bad picture fails alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from guanwu.wire.capabilities import Capabilities
from worker.contract.label_set import LabelSet
from worker.vision.explain.attention import Heads
from worker.vision.explain.capture import AttentionTensors
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framing
from worker.vision.models.registry.specs import ModelSpec
from worker.vision.scoring.prototypes import Prototypes


@dataclass(frozen=True, kw_only=True)
class ForwardOutputs:
    """Outputs of one forward pass over N pictures, for labels and for maps.

    A family fills in `logits` and `grid`, and of the rest what its own `explain` reads.

    Attributes:
        logits: float32 (N, classes), or None without a head.
        grid: (gh, gw) of the maps.
        features: (N, channels, gh, gw) before a global average pooling, or None.
        attention: of every layer (N, heads, prefix tokens, tokens), or empty.
        attended: inputs of every layer's attention, or empty.
        image_tokens: (N, CLS and patches, channels), which texts attend to, or None.
        pooling: of a pooling head (N, heads, 1, patches), or None.
        traces: graphs that gradients are asked of, by the kind of pass.
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
    """The layer and the heads that a map of attention shows.

    Attributes:
        layer: from 0, or negative from the last.
    """

    layer: int = -1
    heads: Heads = "mean"


LAST_LAYER = AttentionView()


class VisionModel(Protocol):
    """A loaded model.

    Attributes:
        spec: as registered.
        revision: of the files, for results.
        weights_sha256: of the weights' file, 64 hex digits: names calibrations and label sets.
        labels: of the outputs, in order; None without a head.
        framing: preprocessing of a picture; called from any thread.
        capabilities: maps and labels that clients may ask for.
        placement: device and number format.
        min_map_cells: maps of fewer cells are cut finer before faithfulness ranks them, where
            `forward_visible` takes cells of any size; 0 where cells are the model's tokens.
    """

    spec: ModelSpec
    revision: str
    weights_sha256: str
    labels: LabelSet | None
    framing: Framing
    capabilities: Capabilities
    placement: Placement
    min_map_cells: int

    def with_labels(self, labels: LabelSet | None) -> VisionModel:
        """The model with these labels; shares its weights.

        The model itself if its vocabulary is closed. None stands for the labels it has by default.
        """
        ...

    def with_prototypes(self, labels: LabelSet, prototypes: Prototypes) -> VisionModel:
        """The model with one label a prototype, in place of its own labels; shares its weights.

        Raises:
            CheckpointInvalid: there are more prototypes than labels, or fewer.
            InvalidOptions: the family takes no prototypes.
        """
        ...

    def forward(self, pixels: Tensor, *, methods: Set[str], classify: bool) -> ForwardOutputs:
        """Run the model once over uint8 (N, h, w, 3).

        Args:
            methods: built-in methods whose maps `explain` is asked for afterwards.
            classify: False allows `logits` to be left out.

        Returns:
            `logits` float32 (N, classes), and what the maps of `methods` read.
        """
        ...

    def forward_visible(self, pixels: Tensor, cells: Tensor) -> Tensor:
        """Logits of pictures of which only some cells are visible.

        Tokens of the other cells are dropped, or their pixels blurred.

        Args:
            pixels: uint8 (N, h, w, 3).
            cells: bool (N, gh, gw), True is visible; equally many in each picture.

        Returns:
            float32 (N, classes).

        Raises:
            ExplanationUnavailable: the model gives no labels, or has no such cells.
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
        """Maps of every picture of a batch.

        Args:
            method: one of `methods` that `forward` was called with.
            outputs: of that call.
            classes: int64 (N,), indexes of the labels to explain; None is label-free.
            against: int64 (N,): why not those labels; None is all others.
            text: the phrase to explain, in place of labels.
            view: for maps of attention.

        Returns:
            float32 (N, gh, gw); higher speaks for the label. gh and gw are `outputs.grid`, or
            finer where `min_map_cells` is not 0.

        Raises:
            ExplanationUnavailable: the model makes no such map.
        """
        ...

    def embed(self, pixels: Tensor, cells: Tensor | None = None) -> Tensor:
        """Embeddings that a head reads, for prototypes: float32 (N, channels), of any length.

        Args:
            pixels: uint8 (N, h, w, 3).
            cells: bool (N, gh, gw), the visible ones as in `forward_visible`; None is all.

        Raises:
            InvalidOptions: the family takes no prototypes.
        """
        ...


class Explainer(Protocol):
    """A plug-in's method of explanation (`worker.vision.models.registry.methods`)."""

    def __call__(
        self,
        model: VisionModel,
        pixels: Tensor,
        outputs: ForwardOutputs,
        classes: Tensor | None,
        *,
        against: Tensor | None,
    ) -> Tensor:
        """Maps of every picture of a batch, by any model. Runs in the model thread.

        Args:
            pixels: uint8 (N, h, w, 3), as the model got them.
            outputs: of `forward`, which gathered nothing for this method but logits.
            classes: int64 (N,), indexes of the labels to explain; None is label-free.
            against: int64 (N,): why not those labels; None is all others.

        Returns:
            float32 (N, gh, gw), gh and gw as of `VisionModel.explain`.

        Raises:
            ExplanationUnavailable: the method does not apply to this model.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class GradientTrace:
    """Tensors of a forward pass that are part of its graph.

    Attributes:
        logits: (N, classes), or None without a head.
        embedding: (N, channels), the head's input; without a head the pooled tokens.
        hidden: inputs of the blocks that were asked for, each (N, tokens, channels).
        attended: inputs and output of attention, by layer from 0, if asked for.
        by_layer: (layers, N, classes), logits as if each block were the last, if asked for.
    """

    logits: Tensor | None
    embedding: Tensor
    hidden: tuple[Tensor, ...] = ()
    attended: Mapping[int, AttentionTensors] = field(default_factory=dict)
    by_layer: Tensor | None = None
