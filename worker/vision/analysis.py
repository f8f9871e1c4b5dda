"""Data of the engine: prepared pictures, and analyses of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from guanwu.wire.options import Options
from guanwu.wire.results import Faithfulness, Label, ModelInfo
from worker.vision.heatmaps.heatmap import Heatmap
from worker.vision.labels.client_labels import ClientLabels
from worker.vision.models.preprocessing.framing import Framed

PixelBox = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the upright picture."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One picture, laid before each chosen model.

    Attributes:
        width: of the upright picture, px.
        height: of the upright picture, px.
        framed: the models' inputs, by model id.
        rgb: the picture itself, kept only while a chosen model's input size is not known.
        sha256: of the picture's file; decides which pictures a sample takes.
        client: the label set of the job, if a client made it.
        box_px: of an example, where its label is; None is everywhere.
    """

    width: int
    height: int
    framed: Mapping[str, Framed]
    rgb: npt.NDArray[np.uint8] | None = None
    sha256: str = "0" * 64
    client: ClientLabels | None = None
    box_px: PixelBox | None = None

    def question(self, options: Options) -> str:
        """Equal for pictures of which these options ask the same. Examples are asked for features:
        a job that builds a label set may still run when others name the set."""
        if self.client is None or not self.client.building:
            return options.analysis_key
        return f"example of {self.client.job}:{options.analysis_key}"


@dataclass(frozen=True, kw_only=True)
class ExplanationMap:
    """One map of one picture.

    Attributes:
        target: the label explained, `{"label", "id"}`, with `{"against", "against_id"}` where
            it is told from one other; None is label-free.
        slug: names the target in keys: the label's id, `{a}-vs-{b}`, or `free`.
        faithfulness: of maps for the model's first label, where asked for.
        layer: of attention, from 0; None is the last.
        heads: of attention: `max` or one head; None is the mean.
    """

    model: str
    method: str
    target: dict[str, Any] | None
    slug: str
    heatmap: Heatmap
    faithfulness: Faithfulness | None = None
    layer: int | None = None
    heads: str | int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedExample:
    """An example picture as a model sees it.

    Attributes:
        features: float32 (1, channels); with a second row of what lies around a box, where there
            is one and something lies around it.
        methods: the maps that the model makes for labels that examples made.
    """

    features: npt.NDArray[np.float32]
    methods: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Labels, maps and timings of one picture.

    Attributes:
        labels: each labelling model's best, ranked from 1.
        unknown: no score reaches `options.unknown_below`.
        explanations: the maps, in the order of models and of `options.explain`.
        models: those that took part.
        timing_ms: this picture's share of `forward`, `explain` and `judge`.
        example: what the model made of a picture that is an example of a label.
    """

    labels: list[Label]
    unknown: bool
    explanations: list[ExplanationMap]
    models: list[ModelInfo]
    timing_ms: dict[str, float] = field(default_factory=dict)
    example: EncodedExample | None = None
