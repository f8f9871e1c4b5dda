"""Sweep Redis: take back abandoned chunks, and send missing wake-ups."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from worker.contract.errors import RedisUnavailable
from worker.contract.lanes import QueueName
from worker.contract.records.records import Records
from worker.observability.metrics import WorkerMetrics
from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)

MAX_WAKE_UPS = 4


def missing_wake_ups(*, ready: int, queued: int) -> int:
    """The number of wake-ups to send: a few wait at any time while chunks are ready.

    They are for threads that idle. Busy threads go on without one, and each wake-up
    that finds nobody idle costs as much as an image.
    """
    return max(0, min(ready, MAX_WAKE_UPS) - queued)


class Sweeper(PeriodicThread):
    """A thread of every coordinator. Many may sweep at once: each step is atomic in Redis.

    While Redis is away nobody can renew a lease. When it is back, no lease is taken away
    for `grace_s`: time for a heartbeat, so that those who still work keep their chunks.
    """

    def __init__(
        self,
        records: Records,
        send: Callable[[QueueName, int], None],
        *,
        sweep_s: float,
        grace_s: float,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        super().__init__("sweeper", every_s=sweep_s)
        self._records = records
        self._send = send
        self._metrics = metrics or WorkerMetrics()
        self._grace_s = grace_s
        self._away = False
        self._grace_until_s = 0.0

    def sweep(self) -> None:
        """One round: leases, waiting chunks, then the wake-ups that are missing."""
        swept = self._records.queue.sweep(look_only=time.monotonic() < self._grace_until_s)
        if swept.overdue:
            log.warning("took back overdue chunks", chunks=swept.overdue)
            self._metrics.overdue.inc(swept.overdue)
        for queue, ready in swept.ready.items():
            queued = self._records.queue.queued_wake_ups(queue)
            missing = missing_wake_ups(ready=ready, queued=queued)
            if missing:
                self._send(queue, missing)

    def step(self) -> None:
        """One round, or a note that Redis is away or back."""
        try:
            if self._away:
                self._records.ping()
                self._away = False
                self._grace_until_s = time.monotonic() + self._grace_s
                log.warning("Redis is back")
            self.sweep()
        except RedisUnavailable as exc:
            if not self._away:
                log.warning("sweeping stops until Redis is back", error=exc.message)
            self._away = True
        except Exception:
            log.exception("sweep failed")
