"""The worker process of one device: one engine, many threads around it."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import warnings

import cv2
import psutil
import structlog

from worker.contract.settings.model import Settings
from worker.inference.batcher import Batcher
from worker.inference.item_task import Pipeline
from worker.processes.connections import open_connections, run_claims
from worker.processes.device_assembly import AnyEngine, build_runners, start_background
from worker.runtime.cpu import in_a_thread_that_ends
from worker.runtime.devices import Device
from worker.runtime.watchdog import Check, device_broken, forward_stuck, too_large

log = structlog.get_logger(__name__)

SWITCH_S = 0.0005
HI_THREADS = 8  # never busy with bulk chunks; they mostly wait


def serve(settings: Settings, device: Device) -> None:
    """Load the models, then work until told to stop (SIGTERM) and drained."""
    from worker.inference.engine_factory import (
        make_engine,  # transformers takes seconds; `work` needs none
    )

    _share_the_processor()
    engine = make_engine(settings, device="cpu" if device.gpu is None else "cuda")
    in_a_thread_that_ends(engine.load)
    work(settings, device, engine)


def work(
    settings: Settings, device: Device, engine: AnyEngine, *, pipeline: Pipeline | None = None
) -> None:
    """Work with any engine until told to stop (SIGTERM) and drained."""
    # Pillow warns of damaged metadata in a picture that it reads all the same.
    warnings.filterwarnings("ignore", module="PIL")
    with contextlib.ExitStack() as parts:
        connections = open_connections(
            parts, settings, process=device.name, threads=settings.chunk_threads
        )
        background = start_background(parts, connections, engine, device)
        runners = build_runners(parts, connections, background, engine, pipeline=pipeline)
        _settle_memory()
        log.info("worker ready", pid=os.getpid(), models=settings.default_model_ids)
        run_claims(
            connections,
            runners,
            always=["hi"],
            slotted=["bulk"],
            slots=settings.chunk_threads,
            threads=settings.chunk_threads + HI_THREADS,
            checks=_checks(background.batcher, engine, settings),
        )


def _checks(batcher: Batcher, engine: AnyEngine, settings: Settings) -> list[Check]:
    """The device's reasons to end this process early."""
    checks = [
        forward_stuck(batcher.running_s, limit_s=settings.forward_limit_s),
        device_broken(lambda: engine.fault),
    ]
    if settings.memory_limit_mb is not None:
        process = psutil.Process()
        used_mb = lambda: process.memory_info().rss / 2**20  # noqa: E731
        checks.append(too_large(used_mb, limit_mb=settings.memory_limit_mb))
    return checks


def _settle_memory() -> None:
    """Freeze all that was loaded: the collector need not walk torch's million objects again.

    A full collection would hold every thread for a quarter of a second, in the middle of work.
    """
    gc.collect()
    gc.freeze()


def _share_the_processor() -> None:
    """Many threads, few cores: none may start threads of its own or sit on the GIL.

    OpenCV's pool would fight torch's over every small picture. The model thread takes the
    GIL back hundreds of times a forward pass; at Python's default 5 ms a time it starves.
    """
    cv2.setNumThreads(1)
    sys.setswitchinterval(SWITCH_S)
