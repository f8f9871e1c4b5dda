"""What the queue costs beside a model: throughput, latency, memory and scaling.

    python -m tests.benchmarks.queue [--json] [--quick]

Real Redis, S3, front door, Celery, records, chunks and batcher on this machine; only the
model sleeps, 30 ms for a batch of up to 16, and fetching and uploading an image sleep 10 ms
each. Manifests and the results of chunks are real objects.

- bulk_over_ceiling: images/s of a large job over the model's 533/s, once it is planned
- singles_p99_ms: jobs of one image, 20/s beside saturating bulk, from the call that records
  the job to its counted result
- redis_peak_mb: most memory of Redis over the level before a large manifest was submitted
- submit_s: `POST /v1/jobs` with that manifest
- scaling: rate of 8 workers at 300 ms a batch over 8 times the rate of one
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from deploy.stack import Stack
from tests.benchmarks.shown import report
from tests.benchmarks.sleepers import (
    SETTINGS,
    Fleet,
    RedisMemory,
    cpu_s,
    redis_commands,
    redis_cpu_s,
)
from tests.sleeping.behaviour import Behaviour

BATCH_IMAGES = 16
FAST = Behaviour(batch_ms=30, io_ms=10)
SLOW = Behaviour(batch_ms=300, io_ms=10)
CEILING = BATCH_IMAGES / (FAST.batch_ms / 1000)
SINGLES_PER_S = 20
WARM_SINGLES = 10
POLL_S = 0.003
LOOK_S = 0.05
WINDOW_S = 4.0


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        images: of the large manifest.
        windows: of 4 s, in which bulk work is measured.
        singles: jobs of one image.
        workers: of the scaling.
        scaled_windows: of each side of the scaling.
    """

    images: int = 100_000
    windows: int = 10
    singles: int = 600
    workers: int = 8
    scaled_windows: int = 4


QUICK = Extent(images=20_000, windows=1, singles=60, workers=4, scaled_windows=1)


def measure(fleet: Fleet, extent: Extent) -> dict[str, float]:
    """All figures."""
    large = fleet.put_manifest(extent.images)
    figures: dict[str, float] = {}
    with fleet.workers(1, FAST) as crew:
        warm_up(fleet, workers=1)
        memory = RedisMemory(fleet)
        job, figures["submit_s"] = fleet.submit(large)
        planning = while_planning(fleet, job)
        before = (cpu_s(crew), redis_cpu_s(fleet), redis_commands(fleet), fleet.ended(job))
        rates = bulk_rates(fleet, job, windows=extent.windows)
        after = (cpu_s(crew), redis_cpu_s(fleet), redis_commands(fleet), fleet.ended(job))
        figures |= bulk_figures(rates) | planning | costs(before, after)
        latencies_ms = singles(fleet, extent.singles)
        assert fleet.left(job), "the bulk job ended before the singles did; make it larger"
        figures |= singles_figures(latencies_ms)
        figures["redis_peak_mb"] = memory.stop()
        fleet.cancel(job)
    return figures | scaling(fleet, extent)


def warm_up(fleet: Fleet, *, workers: int) -> None:
    """Every thread of every worker has run once."""
    images = 128 * workers
    job, _ = fleet.submit(fleet.put_manifest(images))
    fleet.wait_until_ended(job, images)


def while_planning(fleet: Fleet, job: str) -> dict[str, float]:
    """The same worker writes the manifest's shards and works on the first of them."""
    fleet.wait_until_ended(job, BATCH_IMAGES)
    began_s, ended = time.perf_counter(), fleet.ended(job)
    fleet.wait_until_planned(job)
    spent_s = time.perf_counter() - began_s
    rate = (fleet.ended(job) - ended) / spent_s
    return {"planning_s": spent_s, "bulk_while_planning_over_ceiling": rate / CEILING}


def bulk_rates(fleet: Fleet, job: str, *, windows: int) -> list[float]:
    """Images per second, window by window: slopes, for counts grow by whole chunks."""
    rates = []
    for _ in range(windows):
        marks = []
        end_s = time.perf_counter() + WINDOW_S
        while time.perf_counter() < end_s:
            marks.append((time.perf_counter(), fleet.ended(job)))
            time.sleep(LOOK_S)
        times_s, images = zip(*marks, strict=True)
        rates.append(float(np.polyfit(times_s, images, 1)[0]))
    return rates


def singles(fleet: Fleet, count: int) -> list[float]:
    """Latencies of single images, in ms, submitted at a steady pace beside what runs.

    The first come before the clock: connections open, threads start.
    """
    waiting: dict[str, float] = {}
    latencies_ms: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while waiting or not ended.is_set():
            for job in fleet.done_among(list(waiting)):
                latencies_ms.append((time.perf_counter() - waiting.pop(job)) * 1000)
            time.sleep(POLL_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start_s = time.perf_counter()
    for n in range(WARM_SINGLES + count):
        job = fleet.prepare_single()
        time.sleep(max(0.0, start_s + n / SINGLES_PER_S - time.perf_counter()))
        waiting[job] = time.perf_counter()
        fleet.submit_single(job)
    ended.set()
    watcher.join()
    return latencies_ms[WARM_SINGLES:]


def scaling(fleet: Fleet, extent: Extent) -> dict[str, float]:
    """One worker's rate and that of many, on a slow model."""
    manifest = fleet.put_manifest(extent.images)
    rates = {}
    for count in (1, extent.workers):
        with fleet.workers(count, SLOW):
            warm_up(fleet, workers=count)
            job, _ = fleet.submit(manifest)
            fleet.wait_until_ended(job, 64 * count)
            measured = bulk_rates(fleet, job, windows=extent.scaled_windows)
            rates[count] = statistics.median(measured)
            fleet.cancel(job)
    return {
        "scaling": rates[extent.workers] / (extent.workers * rates[1]),
        "one_worker_per_s": rates[1],
        "all_workers_per_s": rates[extent.workers],
    }


def bulk_figures(rates: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.quantile(rates, [0.25, 0.5, 0.75]).tolist()
    return {
        "bulk_over_ceiling": middle / CEILING,
        "bulk_per_s": middle,
        "bulk_per_s_q1": low,
        "bulk_per_s_q3": high,
    }


def singles_figures(latencies_ms: Sequence[float]) -> dict[str, float]:
    middle, p99 = np.quantile(latencies_ms, [0.5, 0.99]).tolist()
    return {"singles_p50_ms": middle, "singles_p99_ms": p99}


def costs(before: Sequence[float], after: Sequence[float]) -> dict[str, float]:
    """Per image: processor time of worker and Redis, commands of Redis."""
    worker_s, redis_s, commands, images = np.subtract(after, before).tolist()
    return {
        "worker_cpu_ms_per_image": worker_s / images * 1000,
        "redis_cpu_ms_per_image": redis_s / images * 1000,
        "redis_commands_per_image": commands / images,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    args = parser.parse_args(argv)
    extent = QUICK if args.quick else Extent()
    load = os.getloadavg()[0]
    with TemporaryDirectory(prefix="guanwu-bench-") as folder:
        data = Path(folder)
        with Stack(data / "stack", settings=SETTINGS, workers=0) as stack:
            fleet = Fleet(stack, data)
            figures = measure(fleet, extent)
            fleet.close()
    settings = (
        f"{extent.images:,} images, {extent.windows} windows of {WINDOW_S} s, "
        f"{extent.singles} singles, {extent.workers} workers"
    )
    report(figures, settings, load=load)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
