"""Claim chunks and run them until none is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from worker.contract.errors import LeaseLost, RedisUnavailable
from worker.contract.lanes import QueueName
from worker.contract.records.job_record import Claim, ClaimAction
from worker.contract.records.records import Records
from worker.contract.telemetry.tracing import OFF, Traces, trace_fields
from worker.observability.claim_span import open_claim_span

log = structlog.get_logger(__name__)


class Runner(Protocol):
    """Works a claim through to its commit; returns the queue that has something now, if any."""

    def run(self, claim: Claim) -> QueueName | None: ...


class ClaimLoop:
    """Runs chunks one after the other on the calling thread.

    All threads take ready chunks of the queues `always`; at most `slots` of them at a time also
    those of `slotted`. Threads are kept for lane `hi` this way, and a single picture never waits
    behind a whole bulk chunk.
    """

    def __init__(
        self,
        records: Records,
        runners: Mapping[ClaimAction, Runner],
        wake: Callable[[QueueName], None],
        *,
        always: Sequence[QueueName],
        slotted: Sequence[QueueName] = (),
        slots: int = 0,
        traces: Traces = OFF,
    ) -> None:
        self._traces = traces
        self._records = records
        self._runners = runners
        self._wake = wake
        self._always = tuple(always)
        self._all = (*always, *slotted)
        self._slots = threading.BoundedSemaphore(slots)
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
        """Until nothing is ready, this thread may not take what is, or the worker drains.

        Where the first chunk leaves more in its queue it wakes one more: so a large job that
        began with one wake-up soon has all who idle, and none is sent while all are busy.
        """
        first = True
        while not self._draining.is_set():
            slot = self._slots.acquire(blocking=False)
            try:
                claim = self._records.claims.claim(self._all if slot else self._always)
                if claim is None:
                    return
                self._run_claim(claim, leads=first)
                first = False
            except RedisUnavailable as exc:
                log.warning("no claim", error=exc.message)
                return
            finally:
                if slot:
                    self._slots.release()

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

    def _run_claim(self, claim: Claim, *, leads: bool) -> None:
        trace = trace_fields(claim.record.traceparent)
        with bound_contextvars(job_id=claim.job, chunk=claim.chunk, **trace), self._busy():
            try:
                if leads and claim.more is not None:
                    self._wake(claim.more)
                with open_claim_span(self._traces, claim):
                    self._wake_others(self._runners[claim.action].run(claim))
            except LeaseLost as exc:
                log.warning("commit refused", error=exc.message)
            except RedisUnavailable as exc:
                log.warning("commit failed; the lease will run out", error=exc.message)
            except Exception:
                log.exception("chunk failed")
                self._records.claims.release(claim, delay_s=float(claim.attempts))

    def _wake_others(self, ready: QueueName | None) -> None:
        """Wake others up for what became ready, unless this thread takes it next, or its like."""
        if ready is not None and (ready not in self._all or self._draining.is_set()):
            self._wake(ready)
