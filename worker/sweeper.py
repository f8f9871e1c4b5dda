"""Makes sure that work which is ready has a wake-up, and takes back what was abandoned."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from worker.contract.errors import RedisUnavailable
from worker.contract.keys import LANES, Lane
from worker.contract.records import JobRecords

log = structlog.get_logger(__name__)

MAX_WAKE_UPS = 32


def missing_wake_ups(*, ready: int, queued: int) -> int:
    """How many wake-ups to send: one a ready chunk, no more than a burst at a time."""
    return max(0, min(ready - queued, MAX_WAKE_UPS))


class Sweeper:
    """A thread of every worker. Many may sweep at once: each step is atomic in Redis."""

    def __init__(
        self,
        records: JobRecords,
        send: Callable[[Lane, int], None],
        *,
        sweep_s: float,
    ) -> None:
        self._records = records
        self._send = send
        self._sweep_s = sweep_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def sweep(self) -> None:
        """One round: leases, waiting chunks, then the wake-ups that are missing."""
        found = self._records.sweep()
        if found.overdue:
            log.warning("took back overdue chunks", chunks=found.overdue)
        for lane in LANES:
            queued = self._records.queued_wake_ups(lane)
            missing = missing_wake_ups(ready=found.ready[lane], queued=queued)
            if missing:
                self._send(lane, missing)

    def _run(self) -> None:
        while not self._stop.wait(self._sweep_s):
            try:
                self.sweep()
            except RedisUnavailable as exc:
                log.warning("sweep failed", error=exc.message)
            except Exception:
                log.exception("sweep failed")
