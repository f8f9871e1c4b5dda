"""A job of a hundred thousand real pictures: does it end, and does memory stay flat?

    python -m tests.benchmarks.large_job [--json] [--quick] [--images N] [--overlay]

Everything is real but the model, which sleeps 30 ms for a batch of up to 16: pictures of a
few pixels, made on the way, go into S3, a job names their folder, one worker fetches, decodes
and labels them and writes each labels.json (with --overlay a heatmap, too), and every
line of results.jsonl is compared with what the picture says.

- images_per_s: from submission to the job's end
- *_peak_mb: most memory of all processes of a kind: front door, workers (the coordinator and
  supervisor among them), Valkey
- *_growth: median memory of the last fifth of the run over that of the second fifth; 1 is flat
- page_ms: a page of the finished job's results, filtered and sorted
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from deploy.child import Child
from deploy.stack import Stack
from tests.benchmarks.sleepers import LABELS_ONLY, LISTS, SETTINGS, Fleet
from tests.sleeping.behaviour import Behaviour
from tests.sleeping.pictures import picture

IMAGES = 100_000
QUICK_IMAGES = 600
REAL = Behaviour(batch_ms=30)
PUTTERS = 8
LOOK_S = 1.0
PAGE = 100


class Footprint(threading.Thread):
    """Memory of processes by kind, in MB, again and again."""

    def __init__(self, kinds: dict[str, Sequence[Child]]) -> None:
        super().__init__(name="footprint", daemon=True)
        self._kinds = kinds
        self._ended = threading.Event()
        self.seen_mb: dict[str, list[float]] = {kind: [] for kind in kinds}

    def run(self) -> None:
        while not self._ended.wait(LOOK_S):
            for kind, children in self._kinds.items():
                self.seen_mb[kind].append(sum(map(_rss_mb, children)))

    def stop(self) -> dict[str, float]:
        """Peaks and growth."""
        self._ended.set()
        self.join()
        figures = {}
        for kind, seen in self.seen_mb.items():
            fifth = max(1, len(seen) // 5)
            second, last = seen[fifth : 2 * fifth] or seen, seen[-fifth:]
            figures[f"{kind}_peak_mb"] = max(seen)
            figures[f"{kind}_growth"] = statistics.median(last) / statistics.median(second)
        return figures


def _rss_mb(child: Child) -> float:
    total = 0.0
    for process in child.family():
        try:
            total += process.memory_info().rss / 1e6
        except psutil.Error:  # it ended meanwhile
            continue
    return total


def measure(fleet: Fleet, *, images: int, overlay: bool) -> dict[str, float]:
    """All figures of one job."""
    figures = {"put_s": timed(lambda: put_pictures(fleet, images))}
    with fleet.workers(1, REAL) as crew:
        stack = fleet.stack
        assert stack.api is not None
        footprint = Footprint({"api": [stack.api], "worker": crew, "valkey": [stack.valkey.child]})
        footprint.start()
        artifacts = ["labels", "overlay"] if overlay else ["labels"]
        options = {**LABELS_ONLY, "artifacts": artifacts}
        job, _ = fleet.submit_source({"prefix": f"s3://{LISTS}/pictures/"}, options=options)
        figures["job_s"] = timed(lambda: fleet.wait_until_done(job))
        figures |= footprint.stop()
    figures["images_per_s"] = images / figures["job_s"]
    check(stack, job, images)
    figures["page_ms"] = 1000 * timed(lambda: a_page(stack, job, images))
    return figures


def timed(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def put_pictures(fleet: Fleet, images: int) -> None:
    client = fleet.stack.seaweed.client()

    def put(number: int) -> None:
        client.put_object(Bucket=LISTS, Key=f"pictures/{number:07d}.png", Body=picture(number))

    with ThreadPoolExecutor(PUTTERS) as pool:
        for _ in pool.map(put, range(images)):
            pass
    client.close()


def check(stack: Stack, job: str, images: int) -> None:
    """Each picture once, succeeded, with the label that only it has."""
    with httpx.Client(
        base_url=stack.url, headers=stack.authorization, timeout=120, follow_redirects=True
    ) as http:
        view = http.get(f"/v1/jobs/{job}").raise_for_status().json()
        assert view["status"] == "succeeded", view
        assert view["counts"]["succeeded"] == view["counts"]["total"] == images, view
        with http.stream("GET", f"/v1/jobs/{job}/results.jsonl") as answer:
            lines = 0
            for number, line in enumerate(answer.iter_lines()):
                result = json.loads(line)
                assert (result["index"], result["labels"][0]["id"]) == (number, number), line
                lines += 1
    assert lines == images, lines


def a_page(stack: Stack, job: str, images: int) -> None:
    """The least certain ones, without reading all results."""
    with httpx.Client(base_url=stack.url, headers=stack.authorization, timeout=120) as http:
        query: dict[str, str | int] = {"sort": "score", "status": "succeeded", "limit": PAGE}
        page = http.get(f"/v1/jobs/{job}/results", params=query).raise_for_status().json()
    assert len(page["items"]) == min(PAGE, images), page


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_IMAGES} pictures only")
    parser.add_argument("--images", type=int, help=f"default: {IMAGES:,}")
    parser.add_argument("--overlay", action="store_true", help="draw a heatmap of each, too")
    args = parser.parse_args(argv)
    images = args.images or (QUICK_IMAGES if args.quick else IMAGES)
    with TemporaryDirectory(prefix="guanwu-bench-") as folder:
        data = Path(folder)
        with Stack(data / "stack", settings=SETTINGS, workers=0) as stack:
            fleet = Fleet(stack, data)
            figures = measure(fleet, images=images, overlay=args.overlay)
            fleet.close()
    print(f"hardware  {platform.machine()}, {os.cpu_count()} processors")
    print(f"settings  {images:,} pictures, {'labels and overlay' if args.overlay else 'labels'}")
    for name, value in figures.items():
        print(f"{name:16} {value:.3f}")
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
