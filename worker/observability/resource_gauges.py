"""Gauges of a process's processor, memory and GPU, sampled every 2 s.

Needs no package of the extra `worker`: a coordinator may stand alone, in the small image.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from guanwu.wire.results import DeviceInfo
from worker.observability.metrics import WorkerMetrics
from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)

READ_S = 2.0
_STATM = Path("/proc/self/statm")  # Linux alone; elsewhere memory is not told


class Monitor(Protocol):
    """Samples of a device: a `DeviceMonitor`, which needs packages of the extra."""

    @property
    def total_mb(self) -> float | None: ...

    def sample(self) -> DeviceInfo: ...


class ResourceGauges(PeriodicThread):
    """A thread of every process of a worker that keeps its gauges up to date.

    Args:
        process: its name: `coordinator`, or its device's.
        monitor: of its device, if it has one.
        splits: tells how often its engine has halved a batch.
    """

    def __init__(
        self,
        metrics: WorkerMetrics,
        process: str,
        *,
        monitor: Monitor | None = None,
        splits: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__("readings", every_s=READ_S)
        self._metrics = metrics
        self._name = process
        self._monitor = monitor
        self._splits = splits
        self._seen_splits = 0
        self._seen_cpu_s = 0.0

    def step(self) -> None:
        try:
            self.read()
        except Exception:
            log.exception("gauges were not read")

    def read(self) -> None:
        """Sample all gauges once."""
        cpu_s = time.process_time()
        self._metrics.cpu_s.labels(self._name).inc(cpu_s - self._seen_cpu_s)
        self._seen_cpu_s = cpu_s
        if _STATM.exists():
            pages = int(_STATM.read_text().split()[1])
            self._metrics.resident_bytes.labels(self._name).set(pages * os.sysconf("SC_PAGE_SIZE"))
        splits = self._splits()
        self._metrics.splits.inc(splits - self._seen_splits)
        self._seen_splits = splits
        if self._monitor is not None:
            self._read_device(self._monitor)

    def _read_device(self, monitor: Monitor) -> None:
        sample, total_mb = monitor.sample(), monitor.total_mb
        if sample.gpu_percent is not None:
            self._metrics.gpu_busy.labels(sample.name).set(sample.gpu_percent / 100)
        if sample.gpu_memory_mb is not None:
            self._metrics.gpu_used_bytes.labels(sample.name).set(sample.gpu_memory_mb * 2**20)
        if total_mb is not None:
            self._metrics.gpu_total_bytes.labels(sample.name).set(total_mb * 2**20)
