"""Reads what only shows when somebody looks: processor, memory and GPU of a process."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import structlog

from worker.devices import DeviceMonitor
from worker.meters import Meters
from worker.rounds import Rounds

log = structlog.get_logger(__name__)

READ_S = 2.0


class Readings(Rounds):
    """A thread of every process of a worker that keeps its gauges up to date.

    Args:
        process: its name: `coordinator`, or its device's.
        monitor: of its device, if it has one.
        splits: tells how often its engine has halved a batch.
    """

    def __init__(
        self,
        meters: Meters,
        process: str,
        *,
        monitor: DeviceMonitor | None = None,
        splits: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__("readings", every_s=READ_S)
        self._meters = meters
        self._name = process
        self._monitor = monitor
        self._splits = splits
        self._seen_splits = 0
        self._process = psutil.Process()
        self._seen_cpu_s = 0.0

    def round(self) -> None:
        try:
            self.read()
        except Exception:
            log.exception("gauges were not read")

    def read(self) -> None:
        """One look at everything."""
        spent = self._process.cpu_times()
        cpu_s = spent.user + spent.system
        self._meters.cpu_s.labels(self._name).inc(cpu_s - self._seen_cpu_s)
        self._seen_cpu_s = cpu_s
        self._meters.resident_bytes.labels(self._name).set(self._process.memory_info().rss)
        splits = self._splits()
        self._meters.splits.inc(splits - self._seen_splits)
        self._seen_splits = splits
        if self._monitor is not None:
            self._read_device(self._monitor)

    def _read_device(self, monitor: DeviceMonitor) -> None:
        seen, total_mb = monitor.sample(), monitor.total_mb
        if seen.gpu_percent is not None:
            self._meters.gpu_busy.labels(seen.name).set(seen.gpu_percent / 100)
        if seen.gpu_memory_mb is not None:
            self._meters.gpu_used_bytes.labels(seen.name).set(seen.gpu_memory_mb * 2**20)
        if total_mb is not None:
            self._meters.gpu_total_bytes.labels(seen.name).set(total_mb * 2**20)
