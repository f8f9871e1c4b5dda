"""Makes sure that work which is ready has a wake-up, and takes back what was abandoned."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from worker.contract.errors import RedisUnavailable
from worker.contract.lanes import QueueName
from worker.contract.records.records import Records
from worker.observability.metrics import Meters
from worker.runtime.periodic import Rounds

log = structlog.get_logger(__name__)

MAX_WAKE_UPS = 4


def missing_wake_ups(*, ready: int, queued: int) -> int:
    """How many wake-ups to send: a few wait at any time while chunks are ready.

    They are for threads that idle. Those that work go on by themselves, and each wake-up
    that finds nobody idle costs as much as an image.
    """
    return max(0, min(ready, MAX_WAKE_UPS) - queued)


class Sweeper(Rounds):
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
        meters: Meters | None = None,
    ) -> None:
        super().__init__("sweeper", every_s=sweep_s)
        self._records = records
        self._send = send
        self._meters = meters or Meters()
        self._grace_s = grace_s
        self._away = False
        self._grace_until_s = 0.0

    def sweep(self) -> None:
        """One round: leases, waiting chunks, then the wake-ups that are missing."""
        found = self._records.queue.sweep(look_only=time.monotonic() < self._grace_until_s)
        if found.overdue:
            log.warning("took back overdue chunks", chunks=found.overdue)
            self._meters.overdue.inc(found.overdue)
        for queue, ready in found.ready.items():
            queued = self._records.queue.queued_wake_ups(queue)
            missing = missing_wake_ups(ready=ready, queued=queued)
            if missing:
                self._send(queue, missing)

    def round(self) -> None:
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
