"""Renew the leases of this worker's claims, and notice lost and stopped ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from worker.contract.errors import GuanwuError, LeaseLost
from worker.contract.records.job_record import Claim, Stop
from worker.contract.records.records import Records
from worker.observability.metrics import WorkerMetrics
from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)


class HeldClaim:
    """A claim while it is worked on. Heartbeats set `lost`, and `stop`: why the job is to end.

    Its own clock says when the lease has run out, so that a process that was stopped for a
    while asks before it writes anything.
    """

    def __init__(self, claim: Claim, records: Records) -> None:
        self.claim = claim
        self.lost = threading.Event()
        self.stop: Stop | None = claim.record.stop
        self._records = records
        self._until_s = time.monotonic() + records.claims.lease_s

    @property
    def wanted(self) -> bool:
        """False once what is made of the chunk would be thrown away."""
        return self.stop is None and not self.lost.is_set()

    def renew(self) -> None:
        """One heartbeat.

        Raises:
            LeaseLost: another worker may hold the chunk.
            RedisUnavailable: nobody can tell.
        """
        asked_s = time.monotonic()
        try:
            self.stop = self._records.claims.heartbeat(self.claim) or self.stop
        except LeaseLost:
            self.lost.set()
            raise
        self._until_s = asked_s + self._records.claims.lease_s

    def check(self) -> None:
        """Raises LeaseLost once another worker may hold the chunk, or as `renew` does."""
        if self.lost.is_set():
            raise LeaseLost(f"the lease of {self.claim.job} chunk {self.claim.chunk} was lost")
        if time.monotonic() > self._until_s:
            self.renew()


class Leases(PeriodicThread):
    """One heartbeat thread for all claims of a process."""

    def __init__(
        self, records: Records, *, heartbeat_s: float, metrics: WorkerMetrics | None = None
    ) -> None:
        super().__init__("heartbeat", every_s=heartbeat_s, stop_wait_s=heartbeat_s)
        self._metrics = metrics or WorkerMetrics()
        self._records = records
        self._held: set[HeldClaim] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[HeldClaim]:
        """A context in which the claim's lease is renewed."""
        held = HeldClaim(claim, self._records)
        with self._lock:
            self._held.add(held)
        try:
            yield held
        finally:
            with self._lock:
                self._held.discard(held)

    def step(self) -> None:
        with self._lock:
            held = list(self._held)
        for claim in held:
            self._renew(claim)

    def _renew(self, held: HeldClaim) -> None:
        try:
            held.renew()
        except LeaseLost:
            log.warning("lease lost", job_id=held.claim.job, chunk=held.claim.chunk)
            self._metrics.leases_lost.inc()
        except GuanwuError as exc:
            log.warning("heartbeat failed", error=exc.message, job_id=held.claim.job)
