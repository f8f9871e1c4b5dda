"""Where an image's time goes: stages as results tell them, processor time as processes have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from deploy.child import Child
from deploy.stack import Stack
from tests.benchmarks.whole_way import WholeWay


class Profile:
    """Sums over jobs: wall time by stage, processor time by kind of process."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ms: Counter[str] = Counter()
        self._images = 0

    @contextmanager
    def of(self, way: WholeWay) -> Iterator[None]:
        """Takes in the job that runs inside."""
        before = cpu_s(self._stack)
        yield
        after = cpu_s(self._stack)
        self._images += len(way.results)
        for result in way.results:
            self._ms.update({f"{s}_ms": ms for s, ms in (result.timing_ms or {}).items()})
        self._ms.update({f"{k}_cpu_ms": (after[k] - before[k]) * 1e3 for k in after})

    @property
    def figures(self) -> dict[str, float]:
        """Mean milliseconds an image. Stages of different images overlap."""
        return {name: ms / self._images for name, ms in self._ms.most_common()}


def cpu_s(stack: Stack) -> dict[str, float]:
    """Processor seconds so far by kind of process."""
    kinds: dict[str, Sequence[Child]] = {
        "worker": stack.workers,
        "api": [stack.api] if stack.api else [],
        "seaweed": [stack.seaweed.child],
        "valkey": [stack.valkey.child],
    }
    return {kind: sum(map(_cpu_s, children)) for kind, children in kinds.items()}


def _cpu_s(child: Child) -> float:
    total = 0.0
    for process in child.family():
        try:
            times = process.cpu_times()
        except psutil.Error:  # it ended meanwhile
            continue
        total += times.user + times.system
    return total
