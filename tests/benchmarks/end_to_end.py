"""How much of the machine the whole way leaves to the model: images/s beside other ways.

    python -m tests.benchmarks.end_to_end [--json] [--quick] [--rounds N] [--images N] [--scene S]

The embedded stack with one worker, pictures of 0.15 MP already in S3, one job for a folder:
labels and overlay, faithfulness off. Rates count from submission to `done`, when the last
object is in S3. In every round, one after the other, at the same number of threads:

- bare: forward passes on preloaded pixels, with relevance gradients where the map asks for them
- same_work: decode, batches, overlay and PNG to disk in one loop of the product's own pieces

Figures are medians over rounds of ratios within a round, with quartiles:

- vit_attention_over_bare, vit_class_over_bare, cnn_over_bare; over_same_work, the lowest of three
- *_ms: of one image's stages in the worker, as results tell them (threads overlap)
- *_cpu_ms: processor time an image of each kind of process, front door to Valkey
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from deploy.stack import Stack
from tests.benchmarks.profile import cpu_s, spent_ms, stages_ms
from tests.benchmarks.rivals import BATCH, Bare, same_work_per_s
from tests.benchmarks.scenes import SCENES, Scene, engine, jpegs, worker_settings
from tests.benchmarks.shown import report
from tests.benchmarks.whole_way import BUCKET, WholeWay
from worker.vision.engine import Engine

Figures = dict[str, float]


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        images: of a job of small pictures.
        beside: pictures of the ways in one process.
    """

    images: int = 256
    beside: int = 64
    rounds: int = 3


QUICK = Extent(images=32, beside=16, rounds=1)


class Bench:
    """One stack, one engine in this process, and what each round of a scene gave."""

    def __init__(self, way: WholeWay, own: Engine, folder: Path, extent: Extent) -> None:
        self.way = way
        self.own = own
        self.folder = folder
        self.extent = extent
        self.pictures = jpegs("0.15mp", extent.images)
        way.put("0.15mp", self.pictures)
        way.put("warm", self.pictures[:BATCH])

    def scene(self, scene: Scene) -> Figures:
        """Rounds of the whole way, the bare limit and the same work."""
        beside = self.pictures[: self.extent.beside]
        bare = Bare(scene, self.own, beside)
        self._warm_up(scene, bare)
        profile: Figures = {}
        rates: dict[str, list[float]] = {"whole": [], "bare": [], "same_work": []}
        for _ in range(self.extent.rounds):
            rates["bare"].append(bare.per_s())
            before = cpu_s(self.way.stack)
            rates["whole"].append(self.way.per_s(scene, "0.15mp"))
            profile = stages_ms(self.way.results) | spent_ms(
                before, cpu_s(self.way.stack), images=len(self.way.results)
            )
            rates["same_work"].append(same_work_per_s(scene, self.own, beside, self.folder))
        figures = {f"{scene.name}_{way}_per_s": statistics.median(of) for way, of in rates.items()}
        figures |= {f"{scene.name}_{name}": ms for name, ms in profile.items()}
        figures |= ratios(scene.figure, rates["whole"], rates["bare"])
        return figures | ratios(f"{scene.name}_over_same_work", rates["whole"], rates["same_work"])

    def _warm_up(self, scene: Scene, bare: Bare) -> None:
        bare.per_s()
        same_work_per_s(scene, self.own, self.pictures[:BATCH], self.folder)
        self.way.per_s(scene, "warm")


def ratios(name: str, ours: Sequence[float], theirs: Sequence[float]) -> Figures:
    """Median and quartiles of ratios within rounds."""
    of = [a / b for a, b in zip(ours, theirs, strict=True)]
    low, median, high = np.quantile(of, [0.25, 0.5, 0.75]).tolist()
    return {name: median, f"{name}_q1": low, f"{name}_q3": high}


def measure(bench: Bench, scenes: Sequence[Scene]) -> Figures:
    """All figures."""
    figures: Figures = {}
    for scene in scenes:
        figures |= bench.scene(scene)
    figures["over_same_work"] = min(figures[f"{s.name}_over_same_work"] for s in scenes)
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    extent = QUICK if args.quick else Extent()
    extent = replace(
        extent, rounds=args.rounds or extent.rounds, images=args.images or extent.images
    )
    scenes = [s for s in SCENES if args.scene in (None, s.name)]
    load = os.getloadavg()[0]
    with TemporaryDirectory(prefix="guanwu-bench-") as folder:
        data = Path(folder)
        settings = {**worker_settings(args.dtype), "GUANWU_S3_INPUT_BUCKETS": BUCKET}
        with Stack(data / "stack", settings=settings) as stack, WholeWay(stack) as way:
            figures = measure(Bench(way, engine("float32"), data, extent), scenes)
    told = f"{extent.images} images, {extent.rounds} rounds, {torch.get_num_threads()} threads"
    report(figures, f"{told}, {args.dtype}, batch {BATCH}; torch {torch.__version__}", load=load)
    if args.json:
        print(json.dumps(figures))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--images", type=int, help="of a job")
    parser.add_argument("--scene", choices=[s.name for s in SCENES], help="default: all")
    parser.add_argument("--dtype", default="float32", help="of the worker")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
