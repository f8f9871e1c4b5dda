"""The life of a worker process: take wake-ups until told to stop, drain, be gone in time."""

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

from worker.claims.dispatcher import Pump
from worker.contract.lanes import QueueName
from worker.runtime.exit_codes import EXIT_AGAIN
from worker.runtime.watchdog import Check, Reason, Watchdog

log = structlog.get_logger(__name__)


def live(
    app: Celery,
    pump: Pump,
    checks: Sequence[Check],
    *,
    queues: Sequence[QueueName],
    threads: int,
    drain_s: float,
) -> None:
    """Pump on every wake-up until SIGTERM, or until a check or the supervisor's end says so."""
    _quieten()
    leaving = _Leaving(pump, drain_s=drain_s)
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
    """How the process ends: drain what runs, and be gone at the deadline whatever happens."""

    def __init__(self, pump: Pump, *, drain_s: float) -> None:
        self._pump = pump
        self._drain_s = drain_s
        self.code = 0

    def drain(self, **_: Any) -> None:
        """Finish what runs; exit hard if that takes longer than the deadline."""
        self._pump.drain()
        deadline = threading.Timer(self._drain_s, os._exit, [EXIT_AGAIN])
        deadline.daemon = True
        deadline.start()

    def again(self, reason: Reason) -> None:
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
        leaving.again(Reason("the supervisor is gone", at_once=True))

    threading.Thread(target=watch, name="parent", daemon=True).start()
