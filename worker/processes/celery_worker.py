"""Run a Celery worker: take wake-ups until a signal, drain, and end in time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from typing import Any

import structlog
from celery import Celery, signals
from celery.exceptions import CPendingDeprecationWarning
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # not in celery-types

from worker.claims.claim_loop import ClaimLoop
from worker.contract.lanes import QueueName
from worker.runtime.exit_codes import EXIT_AGAIN
from worker.runtime.watchdog import Check, LeaveReason, Watchdog

log = structlog.get_logger(__name__)


def run_until_stopped(
    app: Celery,
    claim_loop: ClaimLoop,
    checks: Sequence[Check],
    *,
    queues: Sequence[QueueName],
    threads: int,
    drain_s: float,
) -> None:
    """Claim on every wake-up until SIGTERM, a check's reason to leave, or the supervisor's end."""
    _quieten()
    leaving = _Leaving(claim_loop, drain_s=drain_s)
    _watch_parent(leaving)
    watchdog = Watchdog(checks, leaving.again)
    watchdog.start()
    signals.worker_shutting_down.connect(leaving.drain, weak=False)
    worker = app.Worker(
        pool="threads",
        concurrency=threads,
        queues=list(queues),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
        hostname=f"guanwu-{os.getpid()}@%h",
    )
    worker.start()
    watchdog.stop()
    if leaving.code:
        sys.exit(leaving.code)


class _Leaving:
    """The end of the process: drain running chunks, and be gone at the deadline."""

    def __init__(self, claim_loop: ClaimLoop, *, drain_s: float) -> None:
        self._claim_loop = claim_loop
        self._drain_s = drain_s
        self.code = 0

    def drain(self, **_: Any) -> None:
        """Finish running chunks; exit hard if that takes longer than the deadline."""
        self._claim_loop.drain()
        deadline = threading.Timer(self._drain_s, os._exit, [EXIT_AGAIN])
        deadline.daemon = True
        deadline.start()

    def again(self, reason: LeaveReason) -> None:
        """End so that the supervisor starts a fresh process: at once, or drained."""
        log.error("worker leaves to be started again", why=reason.why, at_once=reason.at_once)
        if reason.at_once:
            os._exit(EXIT_AGAIN)
        self.code = EXIT_AGAIN
        os.kill(os.getpid(), signal.SIGTERM)


def _quieten() -> None:
    """Warnings that an operator can do nothing about."""
    # Celery warns root of pickled messages; only JSON is accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # And of tasks that run on when the broker is lost; a wake-up delivered twice does no harm.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


def _watch_parent(leaving: _Leaving) -> None:
    """Leave when the supervisor is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        leaving.again(LeaveReason("the supervisor is gone", at_once=True))

    threading.Thread(target=watch, name="parent", daemon=True).start()
