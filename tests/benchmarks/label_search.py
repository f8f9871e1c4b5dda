"""How long a search among 54,092 labels takes, as many as ModelScope's 万物识别 has.

    python -m tests.benchmarks.label_search [--json] [--quick]

The labels are pairs of words of 万物词表. `worst_ms` and `usual_ms` are the slower and the median
of the queries' medians; `over_scan` is the median ratio to a look at every name and its pinyin, run
right before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from functools import partial

from pypinyin import lazy_pinyin

from api.services.label_index import LabelIndex
from tests.benchmarks.pairs import paired_ratios
from tests.benchmarks.shown import Bar, report
from worker.contract.label_set import LabelSet
from worker.vision.labels.shipped import load_label_set

LABELS, QUICK_LABELS = 54_092, 5_000
QUERIES = ("s", "j", "m", "da", "猫", "xm", "xiongmao", "高压锅", "zzzz")
LIMIT = 20
BARS = {"worst_ms": Bar(at_most=20)}


def made_up(count: int) -> LabelSet:
    words = load_label_set("wanwu").zh
    pairs = (
        f"{a}{words[(7 * n + k) % len(words)]}" for k in range(16) for n, a in enumerate(words)
    )
    return LabelSet.from_names("pairs", [next(pairs) for _ in range(count)])


def median_ms(index: LabelIndex, query: str, *, rounds: int) -> float:
    index.search(query, LIMIT)
    spent_ms = []
    for _ in range(rounds):
        started_s = time.perf_counter()
        index.search(query, LIMIT)
        spent_ms.append(1000 * (time.perf_counter() - started_s))
    return statistics.median(spent_ms)


def scan(names: Sequence[tuple[str, str]], query: str) -> list[str]:
    """Without an index: every name, and its pinyin."""
    return [zh for zh, pinyin in names if query in zh or query in pinyin][:LIMIT]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_LABELS:,} labels only")
    args = parser.parse_args(argv)
    count, rounds = (QUICK_LABELS, 3) if args.quick else (LABELS, 15)
    load = os.getloadavg()[0]
    labels = made_up(count)
    names = [(zh, "".join(lazy_pinyin(zh))) for zh in labels.zh]
    started_s = time.perf_counter()
    index = LabelIndex(labels)
    figures = {"build_s": time.perf_counter() - started_s}
    spent_ms = {query: median_ms(index, query, rounds=rounds) for query in QUERIES}
    ratios = [
        paired_ratios(
            {"index": partial(index.search, query, LIMIT)},
            partial(scan, names, query),
            rounds=rounds,
        )["index"]
        for query in QUERIES
    ]
    print("  ".join(f"{query} {ms:.2f} ms" for query, ms in spent_ms.items()))
    figures["worst_ms"] = max(spent_ms.values())
    figures["usual_ms"] = statistics.median(spent_ms.values())
    figures["over_scan"] = statistics.median(statistics.median(found) for found in ratios)
    report(figures, f"{count:,} labels, {rounds} rounds", load=load, bars=BARS)
    if args.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
