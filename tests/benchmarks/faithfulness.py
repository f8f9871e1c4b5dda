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
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from tests.benchmarks import caltech
from tests.benchmarks.caltech import Seen
from tests.benchmarks.contenders import Contender, contenders
from tests.benchmarks.curves import by_pixels, by_tokens
from tests.benchmarks.pairs import paired_ratios
from tests.benchmarks.trust import random_above_not, score_spearman, served_scores
from worker.vision.models.placement import Placement
from worker.vision.models.vit import VisionTransformer

BATCH = 16
ROUNDS = 15
QUICK_EVERY = 80  # a picture takes ten seconds or more
NO_COST = ("centre", "random")

Rows = dict[str, Tensor]
"""By method, float32 (N,)."""


def measure(
    model: VisionTransformer, seen: Seen, methods: Mapping[str, Contender]
) -> tuple[Rows, Rows, Rows]:
    """Token metric, pixel metric and served score of every method's map of every picture."""
    started_s = time.perf_counter()
    parts = [
        _of_batch(model, seen[start : start + BATCH], methods, since_s=started_s)
        for start in range(0, len(seen), BATCH)
    ]
    tokens, pixels, served = ([part[n] for part in parts] for n in range(3))
    return _joined(tokens), _joined(pixels), _joined(served)


def _of_batch(
    model: VisionTransformer, part: Seen, methods: Mapping[str, Contender], *, since_s: float
) -> tuple[Rows, Rows, Rows]:
    maps = {name: make(part.pixels, part.classes) for name, make in methods.items()}
    with torch.inference_mode():
        tokens = {n: by_tokens(model, part.pixels, part.classes, m) for n, m in maps.items()}
        pixels = {n: by_pixels(model, part.pixels, part.classes, m) for n, m in maps.items()}
    served = served_scores(model, part.pixels, part.classes, maps, batch=BATCH)
    print(f"{len(part)} pictures, {time.perf_counter() - since_s:.0f} s", file=sys.stderr)
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
    print(f"{'method':16} {'tokens':>14} {'pixels':>14} {'served':>8} {'cost (quartiles)':>20}")
    for name in sorted(tokens, key=lambda n: -float(tokens[n].mean())):
        cost = _spread(ratios[name]) if name in ratios else ""
        print(
            f"{name:16} {_mean(tokens[name]):>14} {_mean(pixels[name]):>14} "
            f"{float(served[name].mean()):8.3f} {cost:>20}"
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
    model = caltech.load(Placement(device=torch.device("cpu")))
    named = caltech.pictures()[:: QUICK_EVERY if args.quick else 1]
    shown = caltech.seen(model, named)
    seen = shown[caltech.recognised(model, shown, batch=BATCH)]
    print(
        f"hardware  {platform.machine()}, {os.cpu_count()} processors, "
        f"{torch.get_num_threads()} threads of torch {torch.__version__}, float32"
    )
    print(f"settings  {len(seen)} of {len(shown)} pictures recognised, batch {BATCH}")
    methods = contenders(model)
    ratios = costs(model, seen, methods, rounds=1 if args.quick else ROUNDS)
    tokens, pixels, served = measure(model, seen, methods)
    report(tokens, pixels, served, ratios)
    found = figures(tokens, pixels, served, ratios)
    for name in ("score_spearman", "random_above_not"):
        print(f"{name:16} {found[name]:.3f}")
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
