"""Maps of EfficientNet-Lite0 on the shared photos: how good they are, what they cost.

    python -m tests.benchmarks.cnn_maps [--json] [--quick]

Insertion minus deletion in pixels, as `tests.benchmarks.faithfulness` has it, on 14 x 14
patches: p(true label), mean over the photos that the model recognises. Patches are replaced
by the mean colour and by a blur, and the two results averaged. Cost is the median ratio to a
plain forward pass right before it, batch 16, float32.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.benchmarks.accuracy import photos
from tests.benchmarks.caltech import shared
from tests.benchmarks.curves import PixelCurves, probability
from tests.benchmarks.pairs import paired_ratios
from tests.benchmarks.trust import random_above_not, score_spearman, served_scores
from worker.vision.calibration.store import BUILT_IN
from worker.vision.heatmaps.faithfulness import build_centre_blob, judge, random_grids
from worker.vision.images.decoding import decode
from worker.vision.models.convolutional.classifier import ConvolutionalClassifier
from worker.vision.models.convolutional.efficientnet_lite import EfficientNetLite0
from worker.vision.models.families import cnn
from worker.vision.models.interface.placement import Placement
from worker.vision.models.registry.specs import EFFICIENTNET_LITE0

BATCH = 16
PATCHES = 14
QUICK_PHOTOS = 16
ROUNDS = 10

Maps = Mapping[str, Tensor]


def seen(model: ConvolutionalClassifier, *, most: int | None) -> tuple[Tensor, Tensor]:
    """The photos that the model recognises, uint8 (N, 224, 224, 3), and their labels (N,)."""
    chosen = photos(shared() / "data")[:most]
    decoded = [decode(path.read_bytes(), max_bytes=2**26, max_pixels=2**26) for path, _ in chosen]
    pixels = torch.from_numpy(np.stack([model.framing.fit(p.rgb).pixels for p in decoded]))
    classes = torch.tensor([true for _, true in chosen])
    right = torch.cat([_logits(model, part).argmax(1) for part in pixels.split(BATCH)]) == classes
    return pixels[right], classes[right]


@torch.inference_mode()
def maps_of(model: ConvolutionalClassifier, pixels: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Every method's maps and those that know nothing, (N, gh, gw)."""
    made: dict[str, list[Tensor]] = {method: [] for method in model.capabilities.methods}
    for part, of in zip(pixels.split(BATCH), classes.split(BATCH), strict=True):
        for method, maps in made.items():
            evidence = model.forward(part, methods={method}, classify=True)
            maps.append(model.explain(method, evidence, of))
    grid = made["cam"][0].shape[1:]
    return {
        **{method: torch.cat(maps) for method, maps in made.items()},
        "centre": build_centre_blob(grid).expand(len(pixels), -1, -1),
        "random": random_grids(len(pixels), grid, seed=1),
    }


@torch.inference_mode()
def metric(
    model: ConvolutionalClassifier, pixels: Tensor, classes: Tensor, maps: Maps
) -> dict[str, Tensor]:
    """Insertion minus deletion of maps (N, gh, gw), float32 (N,), by method."""

    network = model.network
    assert isinstance(network, EfficientNetLite0)

    def known(x: Tensor) -> Tensor:
        return probability(network(x.contiguous(memory_format=torch.channels_last)), classes)

    curves = PixelCurves(known, model.normalised(pixels))
    return {method: curves(_patches(grids)) for method, grids in maps.items()}


def _patches(grid: Tensor) -> Tensor:
    return functional.interpolate(
        grid[:, None].float(), (PATCHES, PATCHES), mode="bilinear", align_corners=False
    )[:, 0]


def costs(model: ConvolutionalClassifier, pixels: Tensor, *, rounds: int) -> dict[str, float]:
    """Each map's time over a plain forward pass's right before it, the median of pairs."""
    batch = pixels[:BATCH]
    ways = {**{m: _mapping(model, m) for m in ("cam", "layercam")}, "cam_judged": _judging(model)}
    steps = {name: partial(way, batch) for name, way in ways.items()}
    ratios = paired_ratios(steps, lambda: _logits(model, batch), rounds=rounds)
    return {name: statistics.median(found) for name, found in ratios.items()}


def _mapping(model: ConvolutionalClassifier, method: str) -> Callable[[Tensor], Tensor]:
    @torch.inference_mode()
    def step(batch: Tensor) -> Tensor:
        evidence = model.forward(batch, methods={method}, classify=True)
        assert evidence.logits is not None
        return model.explain(method, evidence, evidence.logits.argmax(1))

    return step


def _judging(model: ConvolutionalClassifier) -> Callable[[Tensor], object]:
    cam = _mapping(model, "cam")

    @torch.inference_mode()
    def step(batch: Tensor) -> object:
        return judge(model, batch, _logits(model, batch).argmax(1), [cam(batch)])

    return step


@torch.inference_mode()
def _logits(model: ConvolutionalClassifier, pixels: Tensor) -> Tensor:
    logits = model.forward(pixels, methods=set(), classify=True).logits
    assert logits is not None
    return logits


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PHOTOS} photos only")
    args = parser.parse_args(argv)
    cpu = Placement(device=torch.device("cpu"))
    model = cnn.load(EFFICIENTNET_LITE0, cpu, model_dir=None, progress=print)
    pixels, classes = seen(model, most=QUICK_PHOTOS if args.quick else None)
    print(f"{len(pixels)} photos recognised, {torch.get_num_threads()} threads, float32")
    cost = costs(model, pixels, rounds=1 if args.quick else ROUNDS)
    maps = maps_of(model, pixels, classes)
    parts = [
        metric(model, pixels[at], classes[at], {name: grids[at] for name, grids in maps.items()})
        for at in (slice(start, start + BATCH) for start in range(0, len(pixels), BATCH))
    ]
    measured = {method: torch.cat([part[method] for part in parts]) for method in maps}
    served = served_scores(model, pixels, classes, maps)
    figures = {f"{name}_cost": ratio for name, ratio in cost.items()}
    for method, of in measured.items():
        error = float(of.std()) / len(of) ** 0.5
        print(f"{method:12} {of.mean():6.3f} +- {error:.3f}   served {served[method].mean():6.3f}")
        figures[method] = float(of.mean())
    paired = measured["layercam"] - measured["cam"]
    print(f"layercam - cam {paired.mean():.3f} +- {float(paired.std()) / len(paired) ** 0.5:.3f}")
    limits = BUILT_IN[model.weights_sha256].thresholds
    assert limits is not None
    for method in model.capabilities.methods:
        above = (served[method] >= limits.random).float().mean()
        figures[f"{method}_above_noise"] = float(above)
    figures["score_spearman"] = score_spearman(served, measured)
    figures["random_above_not"] = random_above_not(served["random"], served["centre"])
    for name, value in figures.items():
        print(f"{name:18} {value:.3f}")
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
