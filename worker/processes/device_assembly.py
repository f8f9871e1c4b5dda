"""Parts of a device's worker process: background threads around the engine, and its runners."""

from __future__ import annotations

import contextlib
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from guanwu.wire.base import Lane
from worker.claims.claim_loop import Runner
from worker.claims.leases import Leases
from worker.contract.records.fleet import FleetStatus
from worker.contract.records.job_record import ClaimAction
from worker.contract.settings.model import Settings
from worker.inference.answer_cache import AnswerCache
from worker.inference.batcher import Analyzer, Batcher
from worker.inference.catalog_publisher import CatalogPublisher, Offering
from worker.inference.chunk_runner import ChunkRunner
from worker.inference.item_pipeline import ImageLimits, ItemPipeline, Preparer
from worker.inference.item_task import Pipeline
from worker.observability.resource_gauges import ResourceGauges
from worker.observability.status_reporter import StatusReporter
from worker.outbound.image_download import Downloads
from worker.processes.connections import Connections, start_parts
from worker.runtime.cpu import available
from worker.runtime.devices import Device, DeviceMonitor

OF_IMAGES: tuple[ClaimAction, ...] = ("run", "retry", "cancelled", "expired", "exhausted")
HI_IO_THREADS = 8  # so that a single picture does not queue behind those of a bulk chunk


class AnyEngine(Analyzer, Preparer, Offering, Protocol):
    """The engine's interface; tests have one without a model."""

    @property
    def fault(self) -> str | None: ...

    @property
    def splits(self) -> int: ...


@dataclass(frozen=True)
class Background:
    """The running parts that runners and checks use."""

    leases: Leases
    batcher: Batcher
    monitor: DeviceMonitor


def start_background(
    parts: contextlib.ExitStack, connections: Connections, engine: AnyEngine, device: Device
) -> Background:
    """Start the parts that have threads of their own; `parts` stops them."""
    settings, client, metrics = connections.settings, connections.client, connections.metrics
    monitor = DeviceMonitor(device.name, gpu=device.gpu)
    leases = Leases(connections.records, heartbeat_s=settings.heartbeat_s, metrics=metrics)
    batcher = Batcher(
        engine,
        batch_images=settings.batch_images,
        wait_ms=settings.batch_wait_ms,
        known=AnswerCache(settings.cache_mb * 2**20) if settings.cache_mb else None,
        metrics=metrics,
    )
    start_parts(
        parts,
        CatalogPublisher(client, connections.keys, engine),
        leases,
        batcher,
        ResourceGauges(metrics, device.name, monitor=monitor, splits=lambda: engine.splits),
        StatusReporter(
            metrics, device.name, FleetStatus(client, connections.keys), monitor=monitor
        ),
    )
    return Background(leases, batcher, monitor)


def build_runners(
    parts: contextlib.ExitStack,
    connections: Connections,
    background: Background,
    engine: AnyEngine,
    *,
    pipeline: Pipeline | None = None,
) -> dict[ClaimAction, Runner]:
    """One runner for all claims of images, with its thread pools.

    `pipeline` takes the place of fetching, drawing and uploading.
    """
    settings = connections.settings
    io, web = _open_pools(parts, settings, "io"), _open_pools(parts, settings, "web")
    pipeline = pipeline or ItemPipeline(
        connections.store,
        engine,
        downloads=Downloads(settings),
        limits=ImageLimits(settings.max_image_bytes, settings.max_image_pixels),
        processor_slots=available(),
        metrics=connections.metrics,
    )
    chunks = ChunkRunner(
        connections.records,
        connections.store,
        pipeline,
        background.batcher,
        background.leases,
        io,
        web,
        background.monitor.sample,
        metrics=connections.metrics,
    )
    return dict.fromkeys(OF_IMAGES, chunks)


def _open_pools(parts: contextlib.ExitStack, settings: Settings, name: str) -> dict[Lane, Executor]:
    """Threads of each lane that wait for others."""
    threads: dict[Lane, int] = {"hi": HI_IO_THREADS, "bulk": settings.io_threads}
    return {
        lane: parts.enter_context(ThreadPoolExecutor(count, thread_name_prefix=f"{lane}-{name}"))
        for lane, count in threads.items()
    }
