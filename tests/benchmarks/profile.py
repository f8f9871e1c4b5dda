"""Where an image's time goes: stages as results tell them, processor time as processes have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import psutil

from deploy.child import Child
from deploy.stack import Stack
from worker.contract.job import ItemResult


def stages_ms(results: Sequence[ItemResult]) -> dict[str, float]:
    """Mean wall milliseconds an image by stage. Stages of different images overlap."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.timing_ms or {})
    return {f"{stage}_ms": ms / len(results) for stage, ms in total.most_common()}


def cpu_s(stack: Stack) -> dict[str, float]:
    """Processor seconds so far by kind of process."""
    kinds: dict[str, Sequence[Child]] = {
        "worker": stack.workers,
        "api": [stack.api] if stack.api else [],
        "seaweed": [stack.seaweed.child],
        "valkey": [stack.valkey.child],
    }
    return {kind: sum(map(_cpu_s, children)) for kind, children in kinds.items()}


def spent_ms(
    before: Mapping[str, float], after: Mapping[str, float], *, images: int
) -> dict[str, float]:
    """Processor milliseconds an image between two looks of `cpu_s`."""
    return {f"{kind}_cpu_ms": (after[kind] - before[kind]) * 1e3 / images for kind in after}


def _cpu_s(child: Child) -> float:
    total = 0.0
    for process in child.family():
        try:
            times = process.cpu_times()
        except psutil.Error:  # it ended meanwhile
            continue
        total += times.user + times.system
    return total
