"""Model check: labels and a map of one picture, with time and memory."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from worker.contract.errors import GuanwuError
from worker.vision.engine import batch
from worker.vision.engine.batch import ModelOutput, View
from worker.vision.engine.map_selection import MapRequest, every_map
from worker.vision.models.interface.model import VisionModel

SIDE_PX = 512
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class ModelCheck:
    """Result of a model check.

    Attributes:
        input_px: (height, width) that the model gets of a square picture.
        forward_ms: of one picture, labels alone; the median of `ROUNDS`.
        method: of the map; None if the model makes none.
        map_ms: of one picture, with the map.
        memory_mb: the most this process held: of the GPU if the model is there.
    """

    input_px: tuple[int, int]
    classes: int
    forward_ms: float
    method: str | None
    map_ms: float | None
    memory_mb: float


def check(model: VisionModel) -> ModelCheck:
    """Run a loaded model.

    Raises:
        ModelError: its scores or its map are not numbers.
    """
    noise = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    view = View(model.framing.fit(noise), width=SIDE_PX, height=SIDE_PX)
    requests = every_map(model.capabilities)
    forward_ms = _median_ms(lambda: _run_once(model, view, []))
    height, width, _ = view.framed.pixels.shape
    return ModelCheck(
        input_px=(height, width),
        classes=model.capabilities.classes or 0,
        forward_ms=forward_ms,
        method=requests[0].method if requests else None,
        map_ms=_median_ms(lambda: _run_once(model, view, requests[:1])) if requests else None,
        memory_mb=_memory_mb(model.placement.device),
    )


def _run_once(model: VisionModel, view: View, requests: list[MapRequest]) -> ModelOutput:
    output = batch.run_model(model, [view], requests, top_k=1)[0]
    if isinstance(output, GuanwuError):
        raise output
    return output


def _median_ms(run: Callable[[], object]) -> float:
    run()
    took_ms = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        run()
        took_ms.append((time.perf_counter() - began_s) * 1e3)
    return statistics.median(took_ms)


def _memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # KiB on Linux
