"""The tutorial way: a loop over pictures, each seen alone and drawn by matplotlib."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from PIL import Image

from tests.benchmarks.eager import EagerTransformer

mpl.use("agg")  # before pyplot: no display
from matplotlib import pyplot as plt


class Tutorial:
    """Picture and heatmap side by side under the label, saved as PNG."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._model = EagerTransformer(model)
        self._folder = folder

    def per_s(self, pictures: Sequence[bytes]) -> float:
        """Images per second."""
        started_s = time.perf_counter()
        for n, data in enumerate(pictures):
            self._explain(Image.open(io.BytesIO(data)).convert("RGB"), self._folder / f"{n}.png")
        return len(pictures) / (time.perf_counter() - started_s)

    def _explain(self, image: Image.Image, path: Path) -> None:
        label, heat = self._model(image)
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5))
        for axes in (left, right):
            axes.imshow(image)
            axes.axis("off")
        right.imshow(heat, cmap="jet", alpha=0.5)
        figure.suptitle(label)
        plt.savefig(path)
        plt.close(figure)
