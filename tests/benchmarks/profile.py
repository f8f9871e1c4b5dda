"""Where an image's time goes: stages as the worker's meters have them, processes as the system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from deploy.child import Child
from deploy.stack import Stack
from tests.support.prometheus_text import Exposition

WAIT = "wait"
REST = "worker rest"
"""Of the worker's processor time: torch's own threads, and Python between the stages."""


class Profile:
    """Sums over jobs: seconds by stage, processor seconds by stage and by process.

    Args:
        metrics: address of the worker's.
    """

    def __init__(self, stack: Stack, metrics: str) -> None:
        self._stack = stack
        self._metrics = metrics
        self._wall_s: Counter[str] = Counter()
        self._cpu_s: Counter[str] = Counter()
        self._images = 0

    @contextmanager
    def of(self, *, images: int) -> Iterator[None]:
        """Takes in the job that runs inside."""
        before = self._look()
        yield
        for sums, was, now in zip((self._wall_s, self._cpu_s), before, self._look(), strict=True):
            sums.update({name: now[name] - was.get(name, 0.0) for name in now})
        self._images += images

    @property
    def figures(self) -> dict[str, float]:
        """Milliseconds an image."""
        wall, cpu = self._ms(self._wall_s), self._ms(self._cpu_s)
        named = {f"{name}_ms": ms for name, ms in wall.items()}
        return named | {f"{name.replace(' ', '_')}_cpu_ms": ms for name, ms in cpu.items()}

    @property
    def table(self) -> str:
        """Stages and processes by their cost. Stages overlap, so shares are of their sum."""
        wall, cpu = self._ms(self._wall_s), self._ms(self._cpu_s)
        work_ms = sum(ms for stage, ms in wall.items() if stage != WAIT)
        lines = [f"{'':14} {'wall ms':>9} {'share':>6} {'CPU ms':>9} {'share':>6}"]
        for name in sorted({*wall, *cpu}, key=lambda n: -max(wall.get(n, 0.0), cpu.get(n, 0.0))):
            shared = None if name == WAIT else work_ms
            columns = _columns(wall.get(name), shared) + _columns(cpu.get(name), sum(cpu.values()))
            lines.append(f"{name:14}{columns}".rstrip())
        return "\n".join(lines)

    def _ms(self, sums: Mapping[str, float]) -> dict[str, float]:
        return {name: seconds * 1e3 / self._images for name, seconds in sums.items()}

    def _look(self) -> tuple[dict[str, float], dict[str, float]]:
        """Seconds so far: of stages on the wall; of a processor by stage and process."""
        seen = Exposition(self._metrics)
        wall = {s.labels["stage"]: s.value for s in seen.of("guanwu_stage_seconds_sum")}
        cpu = {s.labels["stage"]: s.value for s in seen.of("guanwu_stage_cpu_seconds_total")}
        of_processes = cpu_s(self._stack)
        cpu[REST] = of_processes.pop("worker") - sum(cpu.values())
        return wall, cpu | of_processes


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


def _columns(ms: float | None, of_ms: float | None) -> str:
    """Milliseconds, and their share in percent."""
    if ms is None:
        return " " * 17
    return f" {ms:9.2f} {'' if not of_ms else format(ms / of_ms, '.0%'):>6}"
