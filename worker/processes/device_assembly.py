"""Wires the parts of a device's worker process together."""

from __future__ import annotations

import contextlib
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from celery import Celery

from guanwu.wire.base import Lane
from worker.claims.dispatcher import Pump, Runner
from worker.claims.leases import Leases
from worker.claims.tasks import register
from worker.claims.wakeups import Waker
from worker.contract.objects.store import ObjectStore
from worker.contract.records import broker
from worker.contract.records.connection import connect
from worker.contract.records.fleet import Pulses
from worker.contract.records.job_record import ClaimAction
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.settings.model import Settings
from worker.contract.telemetry.open_traces import open_traces
from worker.inference.answer_cache import KnownAnswers
from worker.inference.batcher import Analyzer, Batcher
from worker.inference.catalog_publisher import CatalogPublisher, Offering
from worker.inference.chunk_runner import ChunkRunner
from worker.inference.item_pipeline import ImageLimits, ItemPipeline, Preparer
from worker.inference.item_task import Pipeline
from worker.observability.exporter import exposed_alone
from worker.observability.metrics import meters_of
from worker.observability.resource_gauges import Readings
from worker.observability.status_reporter import Heart
from worker.outbound.image_download import Downloads
from worker.runtime.cpu import available
from worker.runtime.devices import Device, DeviceMonitor

OF_IMAGES: tuple[ClaimAction, ...] = ("run", "retry", "cancelled", "expired", "exhausted")
HI_IO_THREADS = 8  # so that a single picture does not queue behind those of a bulk chunk


class AnyEngine(Analyzer, Preparer, Offering, Protocol):
    """What a worker needs of an engine; tests have one without a model."""

    @property
    def fault(self) -> str | None: ...

    @property
    def splits(self) -> int: ...


@dataclass(frozen=True)
class Assembly:
    """A worker whose threads run, still without wake-ups."""

    app: Celery
    pump: Pump
    records: Records
    batcher: Batcher


def assemble(
    parts: contextlib.ExitStack,
    settings: Settings,
    engine: AnyEngine,
    device: Device,
    *,
    pipeline: Pipeline | None = None,
) -> Assembly:
    """Wire the parts and start their threads; `parts` stops them, last started first.

    `pipeline` takes the place of fetching, drawing and uploading.
    """
    client = connect(settings)
    records = Records(client, settings)
    store = ObjectStore(settings, connections=settings.io_threads + settings.chunk_threads)
    app = broker.make_app(settings)

    publisher = CatalogPublisher(client, RedisKeys(settings.redis_prefix), engine)
    meters = meters_of(device.name)
    traces = open_traces(settings, service="guanwu-worker", process=device.name)
    parts.callback(traces.stop)
    monitor = DeviceMonitor(device.name, gpu=device.gpu)
    readings = Readings(meters, device.name, monitor=monitor, splits=lambda: engine.splits)
    leases = Leases(records, heartbeat_s=settings.heartbeat_s, meters=meters)
    batcher = Batcher(
        engine,
        batch_images=settings.batch_images,
        wait_ms=settings.batch_wait_ms,
        known=KnownAnswers(settings.cache_mb * 2**20) if settings.cache_mb else None,
        meters=meters,
    )
    parts.enter_context(exposed_alone(meters, settings))
    pulses = Pulses(client, RedisKeys(settings.redis_prefix))
    heart = Heart(meters, device.name, pulses, monitor=monitor)
    for part in (publisher, leases, batcher, readings, heart):
        part.start()
        parts.callback(part.stop)
    io, web = _pools(parts, settings, "io"), _pools(parts, settings, "web")
    pipeline = pipeline or ItemPipeline(
        store,
        engine,
        downloads=Downloads(settings),
        limits=ImageLimits(settings.max_image_bytes, settings.max_image_pixels),
        processor_slots=available(),
        meters=meters,
    )
    chunks = ChunkRunner(
        records, store, pipeline, batcher, leases, io, web, monitor.sample, meters=meters
    )
    runners: dict[ClaimAction, Runner] = dict.fromkeys(OF_IMAGES, chunks)
    pump = Pump(
        records,
        runners,
        Waker(app),
        always=["hi"],
        slotted=["bulk"],
        slots=settings.chunk_threads,
        traces=traces,
    )
    register(app, pump)
    return Assembly(app, pump, records, batcher)


def _pools(parts: contextlib.ExitStack, settings: Settings, name: str) -> dict[Lane, Executor]:
    """Threads of each lane that wait for others."""
    threads: dict[Lane, int] = {"hi": HI_IO_THREADS, "bulk": settings.io_threads}
    return {
        lane: parts.enter_context(ThreadPoolExecutor(count, thread_name_prefix=f"{lane}-{name}"))
        for lane, count in threads.items()
    }
