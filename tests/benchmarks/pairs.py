"""What a step costs beside another one: ratios of runs right after each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Step = Callable[[], object]


def paired_ratios(steps: Mapping[str, Step], plain: Step, *, rounds: int) -> dict[str, list[float]]:
    """Each step's time over that of `plain` right before it, by name, `rounds` of each.

    One round more comes first and does not count: it warms every path up.
    """
    ratios: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(1 + rounds):
        for name, step in steps.items():
            plain_s = _seconds(plain)
            ratios[name].append(_seconds(step) / plain_s)
    return {name: found[1:] for name, found in ratios.items()}


def _seconds(step: Step) -> float:
    started_s = time.perf_counter()
    step()
    return time.perf_counter() - started_s
