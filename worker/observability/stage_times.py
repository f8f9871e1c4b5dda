"""Begin and end of each stage of a chunk, for its spans.

A chunk has one span a stage, from the first of its images that came to it to the last that
left it: a span for each image and stage would be ten million of a job of a million pictures,
and say no more than a picture's own `timing_ms` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class StageTime:
    """Of one stage: from when to when, in nanoseconds since 1970, how often, and how long."""

    began_ns: int
    ended_ns: int
    calls: int = 0
    busy_s: float = 0.0


class StageTimes:
    """Of one chunk. Any thread may add to it."""

    def __init__(self) -> None:
        self._of: dict[str, StageTime] = {}
        self._lock = threading.Lock()

    def add(self, stage: str, seconds: float, *, began_ns: int, ended_ns: int) -> None:
        with self._lock:
            time_of = self._of.setdefault(stage, StageTime(began_ns, ended_ns))
            time_of.began_ns = min(time_of.began_ns, began_ns)
            time_of.ended_ns = max(time_of.ended_ns, ended_ns)
            time_of.calls += 1
            time_of.busy_s += seconds

    def all(self) -> dict[str, StageTime]:
        """By stage, the one that began first in front."""
        with self._lock:
            return dict(sorted(self._of.items(), key=lambda pair: pair[1].began_ns))


_gathering: ContextVar[StageTimes | None] = ContextVar("stage_times", default=None)


@contextmanager
def gather() -> Iterator[StageTimes]:
    """Stages that end in this context, and in copies of it, are gathered."""
    times = StageTimes()
    token = _gathering.set(times)
    try:
        yield times
    finally:
        _gathering.reset(token)


def record(
    stage: str, seconds: float, *, ended_ns: int | None = None, lasted_s: float | None = None
) -> None:
    """A stage took so long; it has ended now and lasted as long, unless that is told.

    A picture's share of its batch is shorter than the batch: `lasted_s` is the batch's.
    """
    times = _gathering.get()
    if times is None or seconds <= 0:
        return
    ended_ns = time.time_ns() if ended_ns is None else ended_ns
    lasted_ns = round((seconds if lasted_s is None else lasted_s) * 1e9)
    times.add(stage, seconds, began_ns=ended_ns - lasted_ns, ended_ns=ended_ns)
