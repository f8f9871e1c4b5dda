"""What the account of a job's maps costs at its end: processor time an item, and memory.

    python -m tests.benchmarks.explained [--items 100000] [--quick]

Chunks of 100 items with two maps each, made beforehand; labels of a set of 5,000. The account
is what closing does beside reading, so the time is its own, and its memory is to stay flat.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Sequence

import numpy as np

from tests.worker.map_statistics.maps import densities, middling, results
from worker.map_statistics.job_statistics import JobMapStatistics

CHUNK = 100
LABELS = 5000
METHODS = ("cam", "layercam")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="1,000 items")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    given = parser.parse_args(arguments)
    items = 1000 if given.quick else given.items
    chance = np.random.default_rng(1)
    maps = densities(middling(CHUNK * len(METHODS)), methods=len(METHODS))
    account, spent_s = JobMapStatistics(), []
    for begin in range(0, items, CHUNK):
        labels = [f"label {n}" for n in chance.zipf(1.3, CHUNK) % LABELS]
        chunk = results(labels, methods=METHODS)
        started = time.process_time()
        account.add(chunk, maps)
        spent_s.append((time.process_time() - started) / CHUNK)
        if begin in (items // 10, items - CHUNK):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"after {begin + CHUNK} items: peak {peak:.0f} MB")
    started = time.process_time()
    account.explanations("job", account.summary())
    ended_s = time.process_time() - started
    low, middle, high = (1e6 * float(np.quantile(spent_s, q)) for q in (0.25, 0.5, 0.75))
    print(f"{os.cpu_count()} cores, numpy {np.__version__}; {items} items of {len(METHODS)} maps")
    print(f"an item: {middle:.0f} us of processor time ({low:.0f} to {high:.0f})")
    print(f"the end: {1000 * ended_s:.0f} ms")
    if given.json:
        figures = {"item_us": middle, "item_us_q1": low, "item_us_q3": high}
        print(json.dumps(figures | {"end_ms": 1000 * ended_s, "peak_mb": peak}))


if __name__ == "__main__":
    main()
