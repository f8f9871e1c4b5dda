"""What a wake-up starts: claim and run chunks until none is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from worker.contract.errors import LeaseLost, RedisUnavailable
from worker.contract.keys import LANES, Lane
from worker.contract.records import Claim, JobRecords, Verdict

log = structlog.get_logger(__name__)


class Runner(Protocol):
    """Works a claim through to its commit; returns the lane that became ready, if any."""

    def run(self, claim: Claim) -> Lane | None: ...


class Pump:
    """Runs chunks one after the other on the calling thread.

    Of the threads that pump, `bulk_slots` may run bulk chunks at a time; the others are
    kept for lane `hi`, so that a single picture never waits behind a whole chunk. `pseudo`
    runs what is claimed with a verdict of its own: planning and closing.
    """

    def __init__(
        self,
        records: JobRecords,
        chunks: Runner,
        pseudo: Mapping[Verdict, Runner],
        wake: Callable[[Lane], None],
        *,
        bulk_slots: int,
    ) -> None:
        self._records = records
        self._chunks = chunks
        self._pseudo = pseudo
        self._wake = wake
        self._bulk_slots = threading.BoundedSemaphore(bulk_slots)
        self._draining = threading.Event()
        self._lock = threading.Lock()
        self._running = 0
        self._last_claim = time.monotonic()

    def idle_s(self) -> float:
        """Since the last chunk ended; 0 while one runs."""
        with self._lock:
            return 0.0 if self._running else time.monotonic() - self._last_claim

    def drain(self) -> None:
        """Claim nothing more; what runs may finish."""
        self._draining.set()

    def run(self) -> None:
        """Until nothing is ready, this thread may not take what is, or the worker drains."""
        while not self._draining.is_set():
            bulk = self._bulk_slots.acquire(blocking=False)
            try:
                if not self._run_one(LANES if bulk else ("hi",)):
                    return
            except RedisUnavailable as exc:
                log.warning("no claim", error=exc.message)
                return
            finally:
                if bulk:
                    self._bulk_slots.release()

    @contextmanager
    def _busy(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._last_claim = time.monotonic()

    def _run_one(self, lanes: tuple[Lane, ...]) -> bool:
        claim = self._records.claim(lanes)
        if claim is None:
            return False
        with bound_contextvars(job_id=claim.job, chunk=claim.chunk), self._busy():
            try:
                lane = self._pseudo.get(claim.verdict, self._chunks).run(claim)
                if lane is not None and self._draining.is_set():
                    self._wake(lane)  # else this thread takes what became ready, or its like
            except LeaseLost as exc:
                log.warning("commit refused", error=exc.message)
            except RedisUnavailable as exc:
                log.warning("commit failed; the lease will run out", error=exc.message)
            except Exception:
                log.exception("chunk failed")
                self._records.release(claim, delay_s=float(claim.attempts))
        return True
