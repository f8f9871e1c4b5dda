"""One worker process: one device, one engine, many threads around it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import structlog
from celery import Celery, signals
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # not in celery-types

from worker.batcher import Batcher
from worker.chunk import ChunkRunner
from worker.closing import Closing
from worker.contract import queues
from worker.contract.errors import RedisUnavailable
from worker.contract.keys import LANES, Lane, RedisKeys, queue_name
from worker.contract.objects import ObjectStore
from worker.contract.records import JobRecords, Verdict, connect
from worker.contract.settings import Settings
from worker.devices import Device, DeviceMonitor
from worker.item import ImageLimits, ItemPipeline
from worker.leases import Leases
from worker.planner import Planner
from worker.publisher import CatalogPublisher
from worker.pump import Pump, Runner
from worker.sources.opening import open_source
from worker.sweeper import Sweeper
from worker.tasks import register
from worker.vision.engine import Engine
from worker.vision.models.cache import Progress, announce

log = structlog.get_logger(__name__)

SWITCH_S = 0.0005
HI_THREADS = 2  # never busy with bulk chunks
EXIT_DEADLINE = 75  # EX_TEMPFAIL: the drain deadline passed; leases do the rest


def serve(settings: Settings, device: Device) -> None:
    """Run a worker until it is told to stop (SIGTERM) and has drained."""
    _share_the_processor()
    _quieten()
    engine = make_engine(settings, device="cpu" if device.gpu is None else "cuda")
    engine.load()
    with contextlib.ExitStack() as parts:
        app, pump = _assemble(parts, settings, engine, device)
        _watch_parent(pump)
        _consume(app, pump, settings)


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
        threads=settings.torch_threads,
        model_dir=settings.model_dir,
        progress=progress,
    )


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
    # Pillow warns of damaged metadata in a picture that it reads all the same.
    warnings.filterwarnings("ignore", module="PIL")


def _assemble(
    parts: contextlib.ExitStack, settings: Settings, engine: Engine, device: Device
) -> tuple[Celery, Pump]:
    """Wire the parts and start their threads; `parts` stops them, last started first."""
    client = connect(settings)
    records = JobRecords(client, settings)
    store = ObjectStore(settings, connections=settings.io_threads + settings.chunk_threads)
    app = queues.make_app(settings)

    def wake(lane: Lane, count: int = 1) -> None:
        with contextlib.suppress(RedisUnavailable):  # the sweeper sends it again
            queues.send(app, lane, count=count)

    publisher = CatalogPublisher(client, RedisKeys(settings.redis_prefix), engine.catalog)
    publisher.start()
    parts.callback(publisher.stop)
    sweeper = Sweeper(records, wake, sweep_s=settings.sweep_s)
    sweeper.start()
    parts.callback(sweeper.stop)
    leases = Leases(records, heartbeat_s=settings.heartbeat_s)
    leases.start()
    parts.callback(leases.stop)
    batcher = Batcher(engine, batch_images=settings.batch_images, wait_ms=settings.batch_wait_ms)
    batcher.start()
    parts.callback(batcher.close)
    io = parts.enter_context(ThreadPoolExecutor(settings.io_threads, thread_name_prefix="io"))
    pipeline = ItemPipeline(
        store,
        engine,
        limits=ImageLimits(settings.max_image_bytes, settings.max_image_pixels),
        processor_slots=os.cpu_count() or 1,
    )
    monitor = DeviceMonitor(device.name, gpu=device.gpu)
    chunks = ChunkRunner(records, store, pipeline, batcher, leases, io, monitor.sample)
    planner = Planner(
        records,
        store,
        leases,
        io,
        lambda record: open_source(record, store, settings),
        wake,
        max_images=settings.max_job_images,
        max_attempts=settings.max_attempts,
    )
    closing = Closing(records, store, leases)
    pseudo: dict[Verdict, Runner] = {"plan": planner, "finalize": closing}
    pump = Pump(records, chunks, pseudo, wake, bulk_slots=settings.chunk_threads)
    register(app, pump)
    return app, pump


def _consume(app: Celery, pump: Pump, settings: Settings) -> None:
    """Take wake-ups until SIGTERM, then finish what runs, within the drain deadline."""

    def drain(**_: Any) -> None:
        pump.drain()
        deadline = threading.Timer(settings.drain_s, os._exit, [EXIT_DEADLINE])
        deadline.daemon = True
        deadline.start()

    signals.worker_shutting_down.connect(drain, weak=False)
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


def _watch_parent(pump: Pump) -> None:
    """Leave when the supervisor is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(1.0)
        log.error("the supervisor is gone; leaving")
        pump.drain()
        os._exit(EXIT_DEADLINE)

    threading.Thread(target=watch, name="parent", daemon=True).start()
