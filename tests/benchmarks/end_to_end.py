"""How much of the machine the whole way leaves to the model: images/s beside other ways.

    python -m tests.benchmarks.end_to_end [--json] [--quick] [--linear] [--long] [--scene S]

The embedded stack with one worker, pictures of 0.15 MP already in S3, one job for a folder:
labels and overlay, faithfulness off. Rates count from submission to `done`, when the last
object is in S3. In every round, one after the other:

- bare: forward passes on preloaded pixels, and relevance gradients where the map asks for them,
  in the number format that is fastest here, with the worker's memory settings, as same_work
- same_work: decode, batches in that format, overlay and PNG to disk in one sequential loop
- tutorial: eager attention from all layers, one picture at a time, matplotlib's savefig
- naive_queue: one Celery task a picture, two prefork processes, float32, same Valkey and store;
  and once more with one thread of torch in each process

Figures are medians over rounds of ratios within a round, with quartiles:

- vit_attention_over_bare, vit_class_over_bare, cnn_over_bare; over_same_work, the lowest of three
- over_tutorial, over_naive_queue, over_naive_queue_one_thread: of attention maps
- cnn_png_over_jpeg: the whole way over itself with overlays as JPEG
- rank1_agreement, *_map_correlation: labels and maps of the stack beside those of float32
- single_overhead_ms: one picture sent to an idle system until its results are here, less a bare
  forward pass of one
- large_over_small: time an image of 12 MP over one of 0.15 MP, artefacts up to 1,024 px
- linear_spread, worker_growth (with --linear): how much rates of jobs of 250, 1,000 and 4,000
  images differ, and how much memory the worker gains from the first of the largest to the last
- endurance_growth (with --long): how much memory the worker gains over 50,000 images, from the
  mean of the second fifth to that of the last; the first fills what a worker keeps
- for each scene a table: time and processor time an image of every stage and process
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch

from tests.benchmarks.agreement import agreement
from tests.benchmarks.contest import contest
from tests.benchmarks.ground import QUICK, Extent, Ground, standing
from tests.benchmarks.growth import endurance, growth
from tests.benchmarks.scenes import BATCH, LITE0, SCENES, VIT_ATTENTION, Scene
from tests.benchmarks.shown import Bar, report
from tests.benchmarks.single import single
from tests.benchmarks.sizes import sizes
from tests.benchmarks.turns import Figures
from worker.runtime.cpu import memory_environment

BARS = {scene.figure: Bar(at_least=scene.bar) for scene in SCENES} | {
    "over_same_work": Bar(at_least=0.80),
    "over_tutorial": Bar(at_least=6),
    "over_naive_queue": Bar(at_least=2),
    "rank1_agreement": Bar(at_least=0.99),
    "single_overhead_ms": Bar(at_most=60),
    "large_over_small": Bar(at_most=2.5),
    "linear_spread": Bar(at_most=0.10),
    "worker_growth": Bar(at_most=0.05),
    "endurance_growth": Bar(at_most=0.05),
}


def measure(
    ground: Ground, scenes: Sequence[Scene], *, linear: bool, long: bool
) -> tuple[Figures, Figures]:
    """All figures, and the profiles of all scenes."""
    figures: Figures = {}
    profiles: Figures = {}
    for scene in scenes:
        compared, profile = contest(ground, scene)
        figures |= compared | agreement(ground, scene)
        profiles |= profile
    for lowest in ("over_same_work", "rank1_agreement"):
        figures[lowest] = min(figures[f"{scene.name}_{lowest}"] for scene in scenes)
    if VIT_ATTENTION in scenes:
        figures |= single(ground, VIT_ATTENTION) | sizes(ground, VIT_ATTENTION)
    if linear and LITE0 in scenes:
        figures |= growth(ground, LITE0)
    if long and LITE0 in scenes:
        figures |= endurance(ground, LITE0)
    return figures, profiles


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    extent = QUICK if args.quick else Extent()
    extent = replace(
        extent, rounds=args.rounds or extent.rounds, images=args.images or extent.images
    )
    scenes = [s for s in SCENES if args.scene in (None, s.name)]
    load = os.getloadavg()[0]
    with standing(extent, dtype=args.dtype) as ground:
        figures, profiles = measure(
            ground, scenes, linear=args.linear or args.quick, long=args.long or args.quick
        )
    told = f"{extent.images} images, {extent.rounds} rounds, {torch.get_num_threads()} threads"
    settings = f"{told}, worker in {args.dtype}, batch {BATCH}; torch {torch.__version__}"
    report(figures, settings, load=load, bars=BARS)
    if args.json:
        print(json.dumps(figures | profiles))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="On two idle cores about 10 minutes, 4 more with --linear, 12 more with --long.",
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    parser.add_argument("--linear", action="store_true", help="jobs of up to 4,000 images, too")
    parser.add_argument("--long", action="store_true", help="50,000 images for the memory, too")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--images", type=int, help="of a job")
    parser.add_argument(
        "--scene", choices=[s.name for s in SCENES], help="with what belongs to it; default: all"
    )
    parser.add_argument("--dtype", default="auto", help="of the worker")
    return parser.parse_args(argv)


def _with_the_workers_memory() -> None:
    """Start again as workers are started: glibc reads its settings once, and `bare` and
    `same_work` are to be done as well as we know. What this process starts has none of them."""
    (name,) = memory_environment()
    if os.environ.pop(name, None) is None:
        command = [sys.executable, "-m", "tests.benchmarks.end_to_end", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **memory_environment()})


if __name__ == "__main__":
    _with_the_workers_memory()
    main()
