"""The same work done well in one sequential process, of the product's own pieces."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.scenes import BATCH, Scene, opened
from worker.contract.errors import GuanwuError
from worker.inference import artifacts
from worker.vision.engine import batch
from worker.vision.engine.batch import ModelOutput, View
from worker.vision.engine.map_selection import choose_maps
from worker.vision.images.decoding import Picture
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.registry.specs import ModelCandidate
from worker.vision.rendering import png


class SameWork:
    """Decode, a batch through the model with its maps, overlays as PNG on disk."""

    def __init__(self, scene: Scene, model: VisionModel, folder: Path) -> None:
        self._options = scene.parsed
        self._model = model
        self._folder = folder
        candidate = ModelCandidate(model.capabilities, model.labels)
        self._asks = choose_maps(self._options.explain, {scene.model: candidate})[scene.model]

    def per_s(self, pictures: Sequence[bytes]) -> float:
        """Images per second."""
        started_s = time.perf_counter()
        for start in range(0, len(pictures), BATCH):
            decoded = [opened(data) for data in pictures[start : start + BATCH]]
            for n, (picture, found) in enumerate(
                zip(decoded, self.findings(decoded), strict=True), start
            ):
                self._draw(n, picture, found)
        return len(pictures) / (time.perf_counter() - started_s)

    def findings(self, pictures: Sequence[Picture]) -> list[ModelOutput]:
        """Labels and maps of one batch."""
        views = [View(self._model.framing.fit(p.rgb), p.width, p.height) for p in pictures]
        good = []
        top_k = self._options.top_k
        for found in batch.run_model(self._model, views, self._asks, top_k=top_k):
            if isinstance(found, GuanwuError):
                raise found
            good.append(found)
        return good

    def _draw(self, number: int, picture: Picture, found: ModelOutput) -> None:
        for made in found.maps:
            style = artifacts.DrawingStyle.of(self._options)
            image = artifacts.draw_overlay(made, picture, found.labels, style)
            (self._folder / f"{number}.png").write_bytes(png.encoded(image))
