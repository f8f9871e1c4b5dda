"""Wires the parts of one worker process together."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from celery import Celery

from worker.batcher import Batcher
from worker.chunk import ChunkRunner, Pipeline
from worker.closing import Closing
from worker.contract import queues
from worker.contract.errors import RedisUnavailable
from worker.contract.keys import Lane, RedisKeys
from worker.contract.objects import ObjectStore
from worker.contract.records import JobRecords, Verdict, connect
from worker.contract.settings import Settings
from worker.devices import Device, DeviceMonitor
from worker.item import ImageLimits, ItemPipeline
from worker.leases import Leases
from worker.planner import Planner
from worker.publisher import CatalogPublisher
from worker.pump import Pump, Runner
from worker.retention import Retention
from worker.sources.opening import open_source
from worker.sweeper import Sweeper
from worker.tasks import register
from worker.vision.engine import Engine

HI_IO_THREADS = 8  # so that a single picture does not queue behind those of a bulk chunk


@dataclass(frozen=True)
class Assembly:
    """A worker whose threads run, still without wake-ups."""

    app: Celery
    pump: Pump
    records: JobRecords
    batcher: Batcher


def assemble(
    parts: contextlib.ExitStack,
    settings: Settings,
    engine: Engine,
    device: Device,
    *,
    pipeline: Pipeline | None = None,
) -> Assembly:
    """Wire the parts and start their threads; `parts` stops them, last started first.

    `pipeline` takes the place of fetching, drawing and uploading.
    """
    client = connect(settings)
    records = JobRecords(client, settings)
    store = ObjectStore(settings, connections=settings.io_threads + settings.chunk_threads)
    app = queues.make_app(settings)

    def wake(lane: Lane, count: int = 1) -> None:
        with contextlib.suppress(RedisUnavailable):  # the sweeper sends it again
            queues.send(app, lane, count=count)

    publisher = CatalogPublisher(client, RedisKeys(settings.redis_prefix), engine.catalog)
    sweeper = Sweeper(records, wake, sweep_s=settings.sweep_s, grace_s=1.5 * settings.heartbeat_s)
    leases = Leases(records, heartbeat_s=settings.heartbeat_s)
    batcher = Batcher(engine, batch_images=settings.batch_images, wait_ms=settings.batch_wait_ms)
    retention = Retention(
        records, store, retain_s=settings.retain_s, every_s=settings.retention_sweep_s
    )
    for part in (publisher, sweeper, retention, leases, batcher):
        part.start()
        parts.callback(part.stop)
    io = parts.enter_context(ThreadPoolExecutor(settings.io_threads, thread_name_prefix="io"))
    hi_io = parts.enter_context(ThreadPoolExecutor(HI_IO_THREADS, thread_name_prefix="hi-io"))
    pipeline = pipeline or ItemPipeline(
        store,
        engine,
        limits=ImageLimits(settings.max_image_bytes, settings.max_image_pixels),
        processor_slots=os.cpu_count() or 1,
    )
    monitor = DeviceMonitor(device.name, gpu=device.gpu)
    by_lane: dict[Lane, Executor] = {"hi": hi_io, "bulk": io}
    chunks = ChunkRunner(records, store, pipeline, batcher, leases, by_lane, monitor.sample)
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
    closing = Closing(records, store, leases, io, max_attempts=settings.max_attempts)
    pseudo: dict[Verdict, Runner] = {"plan": planner, "finalize": closing}
    pump = Pump(records, chunks, pseudo, wake, bulk_slots=settings.chunk_threads)
    register(app, pump)
    return Assembly(app, pump, records, batcher)
