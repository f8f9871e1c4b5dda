"""Does a label's map lie on the label's own picture? Two pictures side by side, or stacked.

    python -m tests.benchmarks.place [--json] [--quick]

50 pairs of the test ViT's pictures and 50 pairs of the shared photos for EfficientNet-Lite0,
of different classes, each picture recognised alone; every pair once wide and once tall, laid
before the model by its own framing. `mass` is the median share of a label's positive mass
that is on its own half, `rate` how often that is more than half. `signs` says whether the map
"why A and not B" is above 0 on A's half and below 0 on B's, in the median pair.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from tests.benchmarks import caltech
from tests.benchmarks.accuracy import photos
from worker.vision.heatmaps.heatmap import Heatmap
from worker.vision.images.decoding import decode
from worker.vision.models.families import cnn
from worker.vision.models.interface.model import VisionModel
from worker.vision.models.interface.placement import Placement
from worker.vision.models.preprocessing.framing import Framed
from worker.vision.models.registry.methods import METHODS
from worker.vision.models.registry.specs import EFFICIENTNET_LITE0

PAIRS = 50
QUICK_PAIRS = 4
SIDE_PX = 256

RGB = np.ndarray
Named = tuple[RGB, int]
"""A picture, uint8 (SIDE_PX, SIDE_PX, 3), and the index of its label."""


@dataclass
class Shares:
    """Of one method: own shares of mass, and mean heat of contrasts on both halves."""

    own: list[float] = field(default_factory=list)
    on_a: list[float] = field(default_factory=list)
    on_b: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        found = {
            "mass": statistics.median(self.own),
            "rate": sum(share > 0.5 for share in self.own) / len(self.own),
        }
        if self.on_a:
            found["signs"] = float(statistics.median(self.on_a) > 0 > statistics.median(self.on_b))
        return found


def recognised(model: VisionModel, named: Sequence[Named]) -> list[Named]:
    """The pictures that the model gets right, alone."""
    right: list[Named] = []
    for start in range(0, len(named), 16):
        part = named[start : start + 16]
        pixels = np.stack([model.framing.fit(rgb).pixels for rgb, _ in part])
        with torch.inference_mode():
            evidence = model.forward(torch.from_numpy(pixels), methods=set(), classify=True)
        assert evidence.logits is not None
        best = evidence.logits.argmax(1).tolist()
        right += [one for one, label in zip(part, best, strict=True) if one[1] == label]
    return right


def pairs(named: Sequence[Named], *, count: int, seed: int = 0) -> Iterator[tuple[Named, Named]]:
    """Pairs of different labels by chance, the same each time."""
    chance = random.Random(seed)
    for _ in range(count):
        a, b = chance.sample(list(named), 2)
        while a[1] == b[1]:
            b = chance.choice(list(named))
        yield a, b


def place(model: VisionModel, chosen: Sequence[tuple[Named, Named]]) -> dict[str, Shares]:
    """Every method that explains a label, on every pair wide and tall."""
    shares = {method: Shares() for method in model.capabilities.methods}
    for (a, label_a), (b, label_b) in chosen:
        for axis in (1, 0):
            rgb = np.concatenate([a, b], axis=axis)
            framed = model.framing.fit(rgb)
            for method, of in shares.items():
                maps = _maps(model, framed, method, label_a, label_b)
                halves = [_halves(grid, framed, rgb, axis, method) for grid in maps]
                of.own += [_share(halves[0], 0), _share(halves[1], 1)]
                if METHODS.find(method).signed:
                    of.on_a.append(float(halves[2][0].mean()))
                    of.on_b.append(float(halves[2][1].mean()))
    return shares


@torch.inference_mode()
def _maps(
    model: VisionModel, framed: Framed, method: str, label_a: int, label_b: int
) -> list[Tensor]:
    """For A, for B, and for A against B."""
    pixels = torch.from_numpy(framed.pixels[None].copy())
    evidence = model.forward(pixels, methods={method}, classify=True)
    a, b = torch.tensor([label_a]), torch.tensor([label_b])
    return [
        model.explain(method, evidence, a)[0],
        model.explain(method, evidence, b)[0],
        model.explain(method, evidence, a, against=b)[0],
    ]


def _halves(
    grid: Tensor, framed: Framed, rgb: RGB, axis: int, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """The map on A's and on B's half, as far as the model saw them."""
    height, width = rgb.shape[:2]
    signed = METHODS.find(method).signed
    heatmap = Heatmap(grid.cpu().numpy(), framed.window, width=width, height=height, signed=signed)
    rows, columns = heatmap.seen_part(width, height)
    placed = heatmap.over_picture(width, height)[rows, columns]
    first, second = np.split(placed, 2, axis=axis)
    return first, second


def _share(halves: tuple[np.ndarray, np.ndarray], own: int) -> float:
    mass = [float(np.maximum(half, 0).sum()) for half in halves]
    return mass[own] / sum(mass) if sum(mass) > 0 else 0.0


def _square(rgb: RGB) -> RGB:
    """The middle of a picture as a square of `SIDE_PX`."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = rgb[top : top + side, left : left + side]
    return cv2.resize(middle, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def models() -> Iterator[tuple[VisionModel, list[Named]]]:
    cpu = Placement(device=torch.device("cpu"))
    vit = caltech.load(cpu)
    assert vit.labels is not None
    yield vit, [(_square(p.rgb), vit.labels.en.index(name)) for name, p in caltech.pictures()]
    lite = cnn.load(EFFICIENTNET_LITE0, cpu, model_dir=None, progress=print)
    named = photos(caltech.shared() / "data")
    opened = partial(decode, max_bytes=2**26, max_pixels=2**26)
    yield lite, [(_square(opened(path.read_bytes()).rgb), label) for path, label in named]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PAIRS} pairs only")
    args = parser.parse_args(argv)
    count = QUICK_PAIRS if args.quick else PAIRS
    figures: dict[str, dict[str, float]] = {}
    for model, named in models():
        chosen = list(pairs(recognised(model, named), count=count))
        print(f"{model.spec.id}: {count} pairs, wide and tall")
        for method, shares in place(model, chosen).items():
            found = figures[f"{model.spec.id}.{method}"] = shares.figures()
            print(f"  {method:15}", "  ".join(f"{k} {v:.3f}" for k, v in found.items()))
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
