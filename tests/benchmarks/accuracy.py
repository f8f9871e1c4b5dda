"""How often the first label is right: the shared photos through the running stack.

    python -m tests.benchmarks.accuracy [--json] [--quick]

Every photo goes the whole way, as one job with default options: front door, queue, worker,
store. `rank1` is the share whose first label is the true ImageNet class.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.results import ItemResult

QUICK_PHOTOS = 16


def photos(data: Path) -> list[tuple[Path, int]]:
    """The shared photos with their true ImageNet index."""
    folder = data / "photos"
    with (folder / "photos.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    return [(folder / row["file"], int(row["imagenet_index"])) for row in rows]


def classify(paths: Sequence[Path]) -> tuple[list[ItemResult], dict[str, int], float]:
    """Results in the order of `paths`, the job's counts, and seconds from submit to done."""
    with TemporaryDirectory(prefix="guanwu-bench-") as folder, Stack(Path(folder)) as stack:
        started = time.perf_counter()
        with Client(stack.url, stack.token) as client:
            job = client.submit(paths)
            view = job.wait(timeout_s=1800)
            spent_s = time.perf_counter() - started
            return list(job.results()), view.counts.model_dump(), spent_s


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PHOTOS} photos only")
    args = parser.parse_args(argv)
    data = Path(os.environ.get("TEST_DATA", "../shared")) / "data"
    chosen = photos(data)[: QUICK_PHOTOS if args.quick else None]
    results, counts, spent_s = classify([path for path, _ in chosen])
    n = len(chosen)
    if sorted(r.index for r in results) != list(range(n)) or counts["total"] != n:
        raise SystemExit(f"not every photo has exactly one final state: {counts}")
    judged = [(r.labels, true) for r, (_, true) in zip(results, chosen, strict=True)]
    right = sum(bool(labels) and labels[0].id == true for labels, true in judged)
    among5 = sum(true in [label.id for label in labels] for labels, true in judged)
    states = Counter(r.status.value for r in results)
    print(f"n       {n} photos, states {dict(states)}")
    print(f"rank1   {right / n:.3f}")
    print(f"rank5   {among5 / n:.3f}")
    print(f"rate    {n / spent_s:.1f} images/s from submit to done")
    if args.json:
        figures = {"n": n, "rank1": right / n, "rank5": among5 / n, "images_per_s": n / spent_s}
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
