"""Whether the running stack says what float32 says: first labels, and maps cell by cell."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tests.benchmarks.ground import Ground
from tests.benchmarks.same_work import SameWork
from tests.benchmarks.scenes import BATCH, Scene, jpegs, opened
from worker.vision.engine.batch import ModelOutput
from worker.vision.heatmaps.heatmap import Heatmap
from worker.vision.rendering import overlay

Numbers = npt.NDArray[np.uint16]


def agreement(ground: Ground, scene: Scene) -> dict[str, float]:
    """Share of equal first labels, of pictures that the model knows; median and least correlation
    of maps."""
    pictures = jpegs("0.15mp", ground.extent.beside, of=scene.known)
    ground.way.put(f"known-{scene.name}", pictures)
    ground.way.per_s(scene, f"known-{scene.name}", artifacts=["labels", "map"])
    same, alike = 0, []
    expected = _in_float32(ground, scene, pictures)
    for result, finding in zip(ground.way.results, expected, strict=True):
        same += result.labels[0].id == finding.labels[0].id
        png = np.frombuffer(ground.way.map_of(result), np.uint8)
        heatmap = finding.maps[0].heatmap
        alike.append(correlation(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), heatmap))
    return {
        f"{scene.name}_rank1_agreement": same / len(expected),
        f"{scene.name}_map_correlation": statistics.median(alike),
        f"{scene.name}_map_correlation_min": min(alike),
    }


def correlation(made: Any, expected: Heatmap) -> float:
    """Pearson's, over cells: a raw map (h, w), and the map it should be. 1 if both are flat."""
    wanted = overlay.raw_map(expected)
    a, b = _cells(made, expected), _cells(wanted, expected)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float(np.ptp(a) == np.ptp(b))
    return float(np.corrcoef(a, b)[0, 1])


def _cells(numbers: Numbers, heatmap: Heatmap) -> npt.NDArray[np.float32]:
    """A raw map's mean over each cell that the model saw."""
    height, width = numbers.shape
    seen = numbers[heatmap.seen_part(width, height)].astype(np.float32)
    rows, columns = heatmap.grid.shape
    return np.asarray(cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA).ravel())


def _in_float32(ground: Ground, scene: Scene, pictures: list[bytes]) -> Sequence[ModelOutput]:
    model = SameWork(scene, ground.networks.get(scene.model, "float32"), ground.folder)
    found: list[ModelOutput] = []
    for start in range(0, len(pictures), BATCH):
        batch = [opened(data) for data in pictures[start : start + BATCH]]
        found += model.findings(batch)
    return found
