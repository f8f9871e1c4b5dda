"""Keeps the leases of this worker's claims alive, and learns of lost and stopped ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from worker.contract.errors import GuanwuError, LeaseLost
from worker.contract.records.job_record import Claim, Stop
from worker.contract.records.records import Records
from worker.observability.metrics import Meters

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


class Leases:
    """One heartbeat thread for all claims of a process."""

    def __init__(
        self, records: Records, *, heartbeat_s: float, meters: Meters | None = None
    ) -> None:
        self._meters = meters or Meters()
        self._records = records
        self._heartbeat_s = heartbeat_s
        self._held: set[HeldClaim] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=self._heartbeat_s)

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

    def _run(self) -> None:
        while not self._stop.wait(self._heartbeat_s):
            with self._lock:
                held = list(self._held)
            for one in held:
                self._beat(one)

    def _beat(self, held: HeldClaim) -> None:
        try:
            held.renew()
        except LeaseLost:
            log.warning("lease lost", job_id=held.claim.job, chunk=held.claim.chunk)
            self._meters.leases_lost.inc()
        except GuanwuError as exc:
            log.warning("heartbeat failed", error=exc.message, job_id=held.claim.job)
