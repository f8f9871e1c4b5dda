"""Keeps the leases of this worker's claims alive, and learns of lost and stopped ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from worker.contract.errors import GuanwuError, LeaseLost
from worker.contract.records import Claim, JobRecords, Stop

log = structlog.get_logger(__name__)


class HeldClaim:
    """A claim while it is worked on. Heartbeats set `lost`, and `stop`: why the job is to end."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.lost = threading.Event()
        self.stop: Stop | None = claim.record.stop

    def check(self) -> None:
        """Raises LeaseLost once another worker may hold the chunk."""
        if self.lost.is_set():
            raise LeaseLost(f"the lease of {self.claim.job} chunk {self.claim.chunk} was lost")


class Leases:
    """One heartbeat thread for all claims of a process."""

    def __init__(self, records: JobRecords, *, heartbeat_s: float) -> None:
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
        held = HeldClaim(claim)
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
            held.stop = self._records.heartbeat(held.claim) or held.stop
        except LeaseLost:
            held.lost.set()
        except GuanwuError as exc:
            log.warning("heartbeat failed", error=exc.message, job_id=held.claim.job)
