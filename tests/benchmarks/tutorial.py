"""The tutorial way: a loop over pictures, each seen alone and drawn by matplotlib.

In a process of its own, started as anybody starts one: with no settings of ours.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import matplotlib as mpl
from PIL import Image

from tests.benchmarks.eager import EagerTransformer

mpl.use("agg")  # before pyplot: no display
from matplotlib import pyplot as plt


class Tutorial:
    """Picture and heatmap side by side under the label, saved as PNG."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._process = ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_load, initargs=(model, folder)
        )

    def close(self) -> None:
        """End the process."""
        self._process.shutdown(cancel_futures=True)

    def per_s(self, pictures: Sequence[bytes]) -> float:
        """Images per second."""
        return self._process.submit(_per_s, pictures).result()


class _Loop:
    def __init__(self, model: Path, folder: Path) -> None:
        self._model = EagerTransformer(model)
        self._folder = folder

    def per_s(self, pictures: Sequence[bytes]) -> float:
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


_loops: list[_Loop] = []  # of this process


def _load(model: Path, folder: Path) -> None:
    _loops.append(_Loop(model, folder))


def _per_s(pictures: Sequence[bytes]) -> float:
    return _loops[0].per_s(pictures)
