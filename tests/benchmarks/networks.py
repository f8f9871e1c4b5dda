"""The scenes' models in this process, and in which number format each is fastest here."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

import torch

from tests.benchmarks.caltech import MODEL, folder
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.interface.placement import Placement
from worker.vision.models.loading.pool import ModelPool
from worker.vision.models.registry.specs import register_models

FORMATS: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Networks:
    """The product's models without engine and batcher, each in any format."""

    def __init__(self) -> None:
        self._shelves = {name: _pool(dtype) for name, dtype in FORMATS.items()}

    def get(self, model: str, dtype: str) -> VisionModel:
        """Loaded when first asked for."""
        return self._shelves[dtype].get(model)


def fastest(rates: Mapping[str, Callable[[], float]], *, rounds: int) -> str:
    """The name of the highest rate: median of `rounds` in turn, after one that does not count."""
    seen: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(1 + rounds):
        for name, rate in rates.items():
            seen[name].append(rate())
    return max(seen, key=lambda name: statistics.median(seen[name][1:]))


def _pool(dtype: torch.dtype) -> ModelPool:
    return ModelPool(
        register_models({MODEL: f"path:{folder()}"}),
        placement=Placement(device=torch.device("cpu"), dtype=dtype),
        model_dir=None,
        progress=print,
    )
