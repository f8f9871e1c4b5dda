"""Other ways to do the same work in one process: the bare limit, and one loop done well."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tests.benchmarks.scenes import Scene, pixels_of
from worker import drawing
from worker.contract.errors import GuanwuError
from worker.vision import png
from worker.vision.engine import Engine
from worker.vision.image import decode
from worker.vision.models.model import VisionModel
from worker.vision.models.vit import VisionTransformer

BATCH = 16
_LIMITS = {"max_bytes": 2**26, "max_pixels": 2**26}


class Bare:
    """Forward passes of one scene on preloaded pixels, and gradients where its map asks for
    them: nothing else that a picture costs."""

    def __init__(self, scene: Scene, engine: Engine, pictures: Sequence[bytes]) -> None:
        self._scene = scene
        self._model: VisionModel = engine.model(scene.model)
        self.pixels = pixels_of(self._model, list(pictures))

    def per_s(self) -> float:
        """Images per second over all preloaded pictures."""
        started_s = time.perf_counter()
        self.logits()
        return len(self.pixels) / (time.perf_counter() - started_s)

    def logits(self) -> Tensor:
        """Of all pictures, float32 (N, classes), batch by batch."""
        return torch.cat([self._pass(part) for part in self.pixels.split(BATCH)])

    @torch.no_grad()
    def _pass(self, pixels: Tensor) -> Tensor:
        if self._scene.method == "relevance":
            return self._explained(pixels)[0]
        model = self._model
        if isinstance(model, VisionTransformer):  # without capture: the network's own SDPA
            logits: Tensor = model.network(pixel_values=model.normalised(pixels)).logits
            return logits.float()
        found = model.look(pixels, methods=set(), classify=True).logits
        assert found is not None
        return found

    def _explained(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        method, model = self._scene.method, self._model
        evidence = model.look(pixels, methods={method}, classify=True)
        assert evidence.logits is not None
        classes = None if self._scene.target == "free" else evidence.logits.argmax(1)
        return evidence.logits, model.maps(method, evidence, classes)


def same_work_per_s(scene: Scene, engine: Engine, pictures: Sequence[bytes], folder: Path) -> float:
    """One loop done well: decode, a batch through the model, overlays as PNG on disk."""
    options = scene.parsed
    started_s = time.perf_counter()
    for start in range(0, len(pictures), BATCH):
        decoded = [decode(data, **_LIMITS) for data in pictures[start : start + BATCH]]
        found = engine.analyze([engine.prepare(p, options) for p in decoded], options)
        for n, (picture, analysis) in enumerate(zip(decoded, found, strict=True), start):
            if isinstance(analysis, GuanwuError):
                raise analysis
            for made in analysis.explanations:
                image = drawing.of_map("overlay", made, picture, analysis.labels, options)
                (folder / f"{n}.png").write_bytes(png.encoded(image))
    return len(pictures) / (time.perf_counter() - started_s)
