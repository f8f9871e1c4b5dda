"""What goes through the engine: a picture prepared, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.contract.job import Label, ModelInfo
from worker.vision.heatmap import Heatmap
from worker.vision.models.framing import Framed


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One picture, laid before each chosen model.

    Attributes:
        width: of the upright picture, px.
        height: of the upright picture, px.
        framed: the models' inputs, by model id.
        rgb: the picture itself, kept only while a chosen model's input size is not known.
    """

    width: int
    height: int
    framed: Mapping[str, Framed]
    rgb: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class MadeMap:
    """One map of one picture.

    Attributes:
        target: the label explained, `{"label", "id"}`; None is label-free.
        slug: names the target in keys: the label's id, or `free`.
    """

    model: str
    method: str
    target: dict[str, Any] | None
    slug: str
    heatmap: Heatmap


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What the models found in one picture.

    Attributes:
        labels: each labelling model's best, ranked from 1.
        unknown: no score reaches `options.unknown_below`.
        explanations: the maps, in the order of models and of `options.explain`.
        models: those that took part.
        timing_ms: this picture's share of `forward` and `explain`.
    """

    labels: list[Label]
    unknown: bool
    explanations: list[MadeMap]
    models: list[ModelInfo]
    timing_ms: dict[str, float] = field(default_factory=dict)
