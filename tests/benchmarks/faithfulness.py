"""Which maps tell what the model looks at? All methods on a ViT, by insertion and deletion.

    python -m tests.benchmarks.faithfulness [--json] [--quick]

The test ViT (ViT-S/14, 101 classes) and the 202 pictures it has not seen; those it recognises
count. Two metrics, each insertion minus deletion of p(true label), see `curves`:

- tokens: patches are kept or taken away by dropping their tokens
- pixels: patches are replaced by the mean colour and by a blur, averaged

given as the mean over pictures +- its standard error. Cost is the median ratio to a plain
forward pass right before it, batch 16, float32. `score_spearman` is the rank correlation of
the served score with the pixel metric over all (picture, method) pairs without random and
centre; `random_above_not` is the share of random maps above `not_better_than_random` by
thresholds of the other half of the pictures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context

import torch
from torch import Tensor

from tests.benchmarks import caltech
from tests.benchmarks.caltech import Seen
from tests.benchmarks.contenders import Contender, contenders
from tests.benchmarks.curves import PixelCurves, by_tokens, probability
from tests.benchmarks.pairs import paired_ratios
from tests.benchmarks.trust import random_above_not, score_spearman, served_scores
from worker.vision.models.families.vit import VisionTransformer
from worker.vision.models.interface.placement import Placement

BATCH = 16
ROUNDS = 9
QUICK_EVERY = 80  # a picture takes ten seconds or more
NO_COST = ("centre", "random")

Rows = dict[str, Tensor]
"""By method, float32 (N,)."""


def measure(seen: Seen) -> tuple[Rows, Rows, Rows]:
    """Token metric, pixel metric and served score of every method's map of every picture.

    Processes of one thread each share the pictures: together they do as much as all threads
    on one batch, and other programs on the machine hold up only one of them.
    """
    workers = os.cpu_count() or 1
    size = min(BATCH, math.ceil(len(seen) / workers))
    parts = [seen[start : start + size] for start in range(0, len(seen), size)]
    started_s = time.perf_counter()
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        measured = []
        for part, found in zip(parts, pool.map(_of_batch, parts), strict=True):
            measured.append(found)
            taken_s = time.perf_counter() - started_s
            print(f"{len(part)} pictures, {taken_s:.0f} s", file=sys.stderr)
    tokens, pixels, served = ([found[n] for found in measured] for n in range(3))
    return _joined(tokens), _joined(pixels), _joined(served)


@cache
def _model() -> VisionTransformer:
    return caltech.load(Placement(device=torch.device("cpu")))


def _of_batch(part: Seen) -> tuple[Rows, Rows, Rows]:
    model = _model()
    maps = {name: make(part.pixels, part.classes) for name, make in contenders(model).items()}

    def known_by(cells: Tensor) -> Tensor:
        return probability(model.forward_visible(part.pixels, cells), part.classes)

    def known(x: Tensor) -> Tensor:
        return probability(model.network(pixel_values=x).logits, part.classes)

    with torch.inference_mode():
        in_pixels = PixelCurves(known, model.normalised(part.pixels))
        pixels = {name: in_pixels(grids) for name, grids in maps.items()}
        tokens = {n: by_tokens(known_by, g, whole=in_pixels.whole) for n, g in maps.items()}
    served = served_scores(model, part.pixels, part.classes, maps, batch=BATCH)
    return tokens, pixels, served


def _joined(parts: Sequence[Rows]) -> Rows:
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}


def costs(
    model: VisionTransformer, seen: Seen, methods: Mapping[str, Contender], *, rounds: int
) -> dict[str, list[float]]:
    """Ratios of making a batch's maps to a plain forward pass of it, by method."""
    batch = seen[:BATCH]

    @torch.inference_mode()
    def plain() -> object:
        return model.network(pixel_values=model.normalised(batch.pixels))

    steps = {
        name: partial(make, batch.pixels, batch.classes)
        for name, make in methods.items()
        if name not in NO_COST
    }
    return paired_ratios(steps, plain, rounds=rounds)


def report(tokens: Rows, pixels: Rows, served: Rows, ratios: Mapping[str, list[float]]) -> None:
    print(
        f"{'method':16} {'tokens':>14} {'below relevance':>16} {'pixels':>14} {'served':>7} "
        f"{'cost (quartiles)':>18}"
    )
    for name in sorted(tokens, key=lambda n: -float(tokens[n].mean())):
        cost = _spread(ratios[name]) if name in ratios else ""
        below = _mean(tokens["relevance"] - tokens[name]) if name != "relevance" else ""
        print(
            f"{name:16} {_mean(tokens[name]):>14} {below:>16} {_mean(pixels[name]):>14} "
            f"{float(served[name].mean()):7.3f} {cost:>18}"
        )


def _mean(values: Tensor) -> str:
    error = float(values.std()) / len(values) ** 0.5
    return f"{float(values.mean()):.3f} +-{error:.3f}"


def _spread(ratios: Sequence[float]) -> str:
    if len(ratios) < 2:
        return f"{ratios[0]:.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def figures(
    tokens: Rows, pixels: Rows, served: Rows, ratios: Mapping[str, list[float]]
) -> dict[str, float]:
    return {
        **{name: float(values.mean()) for name, values in tokens.items()},
        **{f"pixel_{name}": float(values.mean()) for name, values in pixels.items()},
        **{f"{name}_cost": statistics.median(found) for name, found in ratios.items()},
        "score_spearman": score_spearman(served, pixels),
        "random_above_not": random_above_not(served["random"], served["centre"]),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument(
        "--quick", action="store_true", help=f"every {QUICK_EVERY}th picture, one round"
    )
    args = parser.parse_args(argv)
    model = _model()
    named = caltech.pictures()[:: QUICK_EVERY if args.quick else 1]
    shown = caltech.seen(model, named)
    seen = shown[caltech.recognised(model, shown, batch=BATCH)]
    print(
        f"hardware  {platform.machine()}, {os.cpu_count()} processors, "
        f"{torch.get_num_threads()} threads of torch {torch.__version__}, float32"
    )
    print(f"settings  {len(seen)} of {len(shown)} pictures recognised, batch {BATCH}")
    ratios = costs(model, seen, contenders(model), rounds=1 if args.quick else ROUNDS)
    tokens, pixels, served = measure(seen)
    report(tokens, pixels, served, ratios)
    found = figures(tokens, pixels, served, ratios)
    for name in ("score_spearman", "random_above_not"):
        print(f"{name:16} {found[name]:.3f}")
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
