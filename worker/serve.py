"""One worker process: one device, one engine, many threads around it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any

import cv2
import psutil
import structlog
from celery import Celery, signals
from celery.exceptions import CPendingDeprecationWarning
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # not in celery-types

from worker.assembly import Assembly, assemble
from worker.chunk import Pipeline
from worker.contract.keys import LANES, queue_name
from worker.contract.settings import Settings
from worker.devices import Device
from worker.pump import Pump
from worker.vision.engine import Engine
from worker.vision.models.cache import Progress, announce
from worker.watchdog import (
    Reason,
    Watchdog,
    device_broken,
    forward_stuck,
    idle_beside_work,
    too_large,
)

log = structlog.get_logger(__name__)

SWITCH_S = 0.0005
HI_THREADS = 8  # never busy with bulk chunks; they mostly wait
EXIT_AGAIN = 75  # EX_TEMPFAIL: the supervisor starts a new one; leases do the rest


def serve(settings: Settings, device: Device) -> None:
    """Load the models, then work until told to stop (SIGTERM) and drained."""
    _share_the_processor()
    engine = make_engine(settings, device="cpu" if device.gpu is None else "cuda")
    engine.load()
    work(settings, device, engine)


def work(
    settings: Settings, device: Device, engine: Engine, *, pipeline: Pipeline | None = None
) -> None:
    """Work with any engine until told to stop (SIGTERM) and drained."""
    _quieten()
    with contextlib.ExitStack() as parts:
        worker = assemble(parts, settings, engine, device, pipeline=pipeline)
        leave = _Leaving(worker.pump, drain_s=settings.drain_s)
        _watch_parent(leave)
        watchdog = _watch(worker, engine, settings, leave)
        watchdog.start()
        parts.callback(watchdog.stop)
        _consume(worker.app, leave, settings)
    if leave.code:
        sys.exit(leave.code)


def make_engine(settings: Settings, *, device: str, progress: Progress = announce) -> Engine:
    """An engine as the settings want it. Nothing is fetched or loaded yet.

    Raises:
        SettingsInvalid, UnknownModel, ModelUnavailable: as `Engine` says.
    """
    return Engine(
        default_models=settings.default_model_ids,
        extra_models=settings.extra_models,
        device=device,
        max_batch=settings.batch_images,
        max_maps=settings.max_image_maps,
        threads=settings.torch_threads,
        model_dir=settings.model_dir,
        progress=progress,
    )


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


def _watch(worker: Assembly, engine: Engine, settings: Settings, leave: _Leaving) -> Watchdog:
    """What ends this process early."""
    process = psutil.Process()
    checks = [
        forward_stuck(worker.batcher.running_s, limit_s=settings.forward_limit_s),
        idle_beside_work(
            worker.pump.idle_s,
            lambda: any(worker.records.ready().values()),
            limit_s=settings.idle_limit_s,
        ),
        device_broken(lambda: engine.fault),
    ]
    if settings.memory_limit_mb is not None:
        used_mb = lambda: process.memory_info().rss / 2**20  # noqa: E731
        checks.append(too_large(used_mb, limit_mb=settings.memory_limit_mb))
    return Watchdog(checks, leave.again)


def _share_the_processor() -> None:
    """Many threads, few cores: none may start threads of its own or sit on the GIL.

    OpenCV's pool would fight torch's over every small picture. The model thread takes the
    GIL back hundreds of times a forward pass; at Python's default 5 ms a time it starves.
    """
    cv2.setNumThreads(1)
    sys.setswitchinterval(SWITCH_S)


def _quieten() -> None:
    """Warnings that an operator can do nothing about."""
    # Celery warns root of pickled messages; only JSON is accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # And of tasks that run on when the broker is lost; a wake-up delivered twice does no harm.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    # Pillow warns of damaged metadata in a picture that it reads all the same.
    warnings.filterwarnings("ignore", module="PIL")


def _consume(app: Celery, leave: _Leaving, settings: Settings) -> None:
    """Take wake-ups until SIGTERM, then finish what runs, within the drain deadline."""
    signals.worker_shutting_down.connect(leave.drain, weak=False)
    worker = app.Worker(
        pool="threads",
        concurrency=settings.chunk_threads + HI_THREADS,
        queues=[queue_name(lane) for lane in LANES],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
        hostname=f"guanwu-{os.getpid()}@%h",
    )
    log.info("worker ready", pid=os.getpid(), models=settings.default_model_ids)
    worker.start()


def _watch_parent(leave: _Leaving) -> None:
    """Leave when the supervisor is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        leave.again(Reason("the supervisor is gone", at_once=True))

    threading.Thread(target=watch, name="parent", daemon=True).start()
