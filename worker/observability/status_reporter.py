"""Publish this process's status (rates, stages, recent errors) to Redis every 2 s."""

from __future__ import annotations

import datetime as dt
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

import structlog

from guanwu.wire.fleet import Pulse, StagePulse, Trouble, slowest
from worker.contract.errors import RedisUnavailable
from worker.observability.metrics import WorkerMetrics
from worker.observability.resource_gauges import Monitor
from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)

REPORT_S = 2.0
WINDOW_REPORTS = 5
MAX_TROUBLES = 5
TROUBLES = ("guanwu_image_failures_total", "guanwu_chunks_given_back_total")

Totals = Mapping[tuple[str, str], float]
"""Of all series, by name and the value of the first label that tells them apart, or ""."""


class Publish(Protocol):
    def publish(self, pulse: Pulse) -> None: ...


class StatusReporter(PeriodicThread):
    """A thread of every process of a worker. A report covers the last few periods."""

    def __init__(
        self,
        metrics: WorkerMetrics,
        process: str,
        pulses: Publish,
        *,
        monitor: Monitor | None = None,
    ) -> None:
        super().__init__("status", every_s=REPORT_S)
        self._metrics = metrics
        self._name = process
        self._pulses = pulses
        self._monitor = monitor
        self._seen: deque[tuple[float, Totals]] = deque(maxlen=WINDOW_REPORTS + 1)
        self._seen.append((time.monotonic(), totals(metrics)))
        self._troubles: dict[str, Trouble] = {}

    def step(self) -> None:
        try:
            self.report()
        except RedisUnavailable as exc:
            log.debug("no pulse", error=exc.message)  # the sweeper's log says that Redis is away
        except Exception:
            log.exception("no pulse")

    def report(self) -> None:
        """Raises RedisUnavailable."""
        now_s, now = time.monotonic(), totals(self._metrics)
        self._note_troubles(self._seen[-1][1], now)
        before_s, before = self._seen[0]
        self._seen.append((now_s, now))
        self._pulses.publish(self._pulse(before, now, seconds=now_s - before_s))

    def _note_troubles(self, before: Totals, now: Totals) -> None:
        for (name, code), count in now.items():
            if name in TROUBLES and count > before.get((name, code), 0):
                at = dt.datetime.now(dt.UTC)
                self._troubles[code] = Trouble(code=code, count=int(count), at=at)

    def _pulse(self, before: Totals, now: Totals, *, seconds: float) -> Pulse:
        rate = _Rates(before, now, seconds)
        stages = rate.stages()
        model_busy = rate.of("guanwu_batch_seconds_sum")
        latest = sorted(self._troubles.values(), key=lambda trouble: trouble.at, reverse=True)
        resident = now.get(("guanwu_process_resident_bytes", self._name))
        return Pulse(
            host=socket.gethostname(),
            process=self._name,
            pid=os.getpid(),
            at=dt.datetime.now(dt.UTC),
            seconds=round(seconds, 1),
            device=None if self._monitor is None else self._monitor.sample(),
            device_memory_mb=None if self._monitor is None else self._monitor.total_mb,
            memory_mb=None if resident is None else resident / 2**20,
            images_per_s=rate.of("guanwu_images_total"),
            failed_per_s=rate.of("guanwu_images_total", "failed"),
            batch_images=rate.mean("guanwu_batch_images"),
            model_busy=model_busy,
            slowest=slowest(stages, model_busy=model_busy),
            stages=stages,
            troubles=latest[:MAX_TROUBLES],
        )


class _Rates:
    """Growth of the totals between two reports, by the second."""

    def __init__(self, before: Totals, now: Totals, seconds: float) -> None:
        self._added = {series: value - before.get(series, 0) for series, value in now.items()}
        self._seconds = seconds

    def of(self, name: str, label: str | None = None) -> float:
        """Of all series of that name, or of the one with the label."""
        return self._sum(name, label) / self._seconds

    def mean(self, histogram: str, label: str | None = None) -> float | None:
        """Mean of a histogram's values; None if there are none."""
        count = self._sum(f"{histogram}_count", label)
        return self._sum(f"{histogram}_sum", label) / count if count else None

    def stages(self) -> dict[str, StagePulse]:
        """Those that were called."""
        histogram = "guanwu_stage_seconds"
        names = [label for name, label in self._added if name == f"{histogram}_count"]
        return {
            stage: StagePulse(busy=self.of(f"{histogram}_sum", stage), mean_ms=1000 * mean_s)
            for stage in names
            if (mean_s := self.mean(histogram, stage)) is not None
        }

    def _sum(self, name: str, label: str | None) -> float:
        return sum(
            value
            for (known, its_label), value in self._added.items()
            if known == name and label in (None, its_label)
        )


def totals(metrics: WorkerMetrics) -> Totals:
    """All series of this process. Lanes are added up, buckets left out."""
    sums: dict[tuple[str, str], float] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if "le" in sample.labels:
                continue
            label = next((v for name, v in sample.labels.items() if name != "lane"), "")
            series = (sample.name, label)
            sums[series] = sums.get(series, 0) + sample.value
    return sums
