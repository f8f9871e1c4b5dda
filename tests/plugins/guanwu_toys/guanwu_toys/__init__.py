"""A family and a method as their entry points name them. Loads no torch."""

from __future__ import annotations

from guanwu.wire.capabilities import Capabilities
from worker.vision.models.registry.families import ModelFamily
from worker.vision.models.registry.methods import ExplanationMethod

COLOURS = ModelFamily(
    loader="guanwu_toys.colours:load",
    detects=lambda checkpoint: checkpoint.config.get("model_type") == "toy_colours",
    capabilities=Capabilities(methods=()),
)

SINGLE_CELLS = ExplanationMethod(
    signed=True,
    title="单格可见",
    explainer="guanwu_toys.single_cells:explain",
    for_labels=True,
)
