"""Prometheus metrics of a worker's processes.

Each process has metrics of its own. A supervisor that serves them names a folder in `SHARED`;
processes keep them there, under their names, and it reads them all. A process that is started
again continues the counts of the one before.

No label names a job, a tenant or a picture: the number of series is bounded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from guanwu.wire.statuses import JobStatus
from worker.contract.errors import (
    DeviceBroken,
    ModelError,
    OutOfMemory,
    PoisonImage,
    RedisUnavailable,
    StoreDenied,
    StoreUnavailable,
)
from worker.contract.lanes import LANES
from worker.observability import stage_times

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name for the folder

Stage = Literal[
    "fetch",
    "decode",
    "prepare",
    "wait",
    "forward",
    "explain",
    "judge",
    "render",
    "encode",
    "upload",
    "commit",
]
ImageOutcome = Literal["succeeded", "failed", "cancelled", "expired"]
Delivered = Literal["delivered", "failed", "given_up", "gone", "undeliverable"]
FINAL_STATUSES = tuple(status.value for status in JobStatus if status.done)
ALARMING = (PoisonImage.code, OutOfMemory.code, ModelError.code)
UNAVAILABLE = (StoreUnavailable.code, StoreDenied.code, RedisUnavailable.code, DeviceBroken.code)

STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BATCH_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
DELIVERY_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)


class WorkerMetrics:
    """All metrics of any part of a worker. Each process fills those of its parts.

    Attributes:
        images: by outcome and lane, counted when their chunk is committed, once.
        failures: failed images by their error's code.
        given_back: chunks that will be tried again, by the code of what was in the way.
        leases_lost: chunks that this process may not commit any more.
        stage_s: seconds of one call of a stage; of `forward`, `explain` and `judge` a
            picture's share of its batch; of `commit` a chunk.
        stage_cpu_s: processor seconds of the stage's own thread; `model` is the thread that
            runs the batches, without torch's pool.
        batch_images, batch_s: of a batch on the model.
        splits: batches halved because the device had no memory for them.
        overdue: chunks taken back because their lease ran out.
        deliveries, delivery_s: tries to tell webhooks.
        jobs: by the status in which they ended.
        cpu_s, resident_bytes: of the process.
        gpu_busy, gpu_used_bytes, gpu_total_bytes: of a device; absent on a CPU.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._of_images()
        self._of_jobs()
        self._of_process()
        self._begin_at_zero()

    def _of_images(self) -> None:
        self.images = self._counter("images", "Images done.", "outcome", "lane")
        self.failures = self._counter("image_failures", "Images failed, by error code.", "code")
        self.given_back = self._counter(
            "chunks_given_back", "Chunks to be tried again, by what was in the way.", "code"
        )
        self.leases_lost = self._counter("leases_lost", "Chunks another worker took over.")
        self.stage_s = self._histogram("stage_seconds", "Of one stage.", STAGE_S, "stage")
        self.stage_cpu_s = self._counter(
            "stage_cpu_seconds", "Processor time of the stage's own thread.", "stage"
        )
        self.batch_images = self._histogram("batch_images", "Images of a batch.", BATCH_IMAGES)
        self.batch_s = self._histogram("batch_seconds", "Of a batch on the model.", BATCH_S)
        self.splits = self._counter("out_of_memory_splits", "Batches halved for want of memory.")

    def _of_jobs(self) -> None:
        self.jobs = self._counter("jobs", "Jobs ended.", "status")
        self.overdue = self._counter("lease_expiries", "Chunks taken back from lost workers.")
        self.deliveries = self._counter("webhook_deliveries", "Tries to tell webhooks.", "outcome")
        self.delivery_s = self._histogram("webhook_seconds", "Of one try.", DELIVERY_S)

    def _of_process(self) -> None:
        self.cpu_s = self._counter("process_cpu_seconds", "Processor time.", "process")
        self.resident_bytes = self._gauge("process_resident_bytes", "Memory.", "process")
        self.gpu_busy = self._gauge("gpu_busy_ratio", "Share of time it computes.", "device")
        self.gpu_used_bytes = self._gauge("gpu_memory_used_bytes", "Memory in use.", "device")
        self.gpu_total_bytes = self._gauge("gpu_memory_total_bytes", "Its memory.", "device")

    def _begin_at_zero(self) -> None:
        """Start all series at 0, not absent: a rate of them shows the first time."""
        # Kept, because looking them up costs more than counting, a dozen times an image.
        self._s_of = {stage: self.stage_s.labels(stage) for stage in get_args(Stage)}
        self._cpu_s_of = {stage: self.stage_cpu_s.labels(stage) for stage in get_args(Stage)}
        for outcome, lane in product(get_args(ImageOutcome), LANES):
            self.images.labels(outcome, lane)
        for code in ALARMING:
            self.failures.labels(code)
        for code in UNAVAILABLE:
            self.given_back.labels(code)
        for delivered in get_args(Delivered):
            self.deliveries.labels(delivered)
        for status in FINAL_STATUSES:
            self.jobs.labels(status)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"guanwu_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(
            f"guanwu_{name}",
            text,
            labels,
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"guanwu_{name}", text, labels, registry=self.registry, buckets=buckets)

    @contextmanager
    def stage(self, name: Stage, *, into: dict[str, float] | None = None) -> Iterator[None]:
        """Time a stage, whether it succeeds or not; its milliseconds are added `into` a table."""
        started_s, started_cpu_s = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self._cpu_s_of[name].inc(time.thread_time() - started_cpu_s)
            spent_s = time.perf_counter() - started_s
            self._s_of[name].observe(spent_s)
            stage_times.record(name, spent_s)
            if into is not None:
                into[name] = into.get(name, 0.0) + spent_s * 1000

    def record_stage(self, name: Stage, seconds: float, *, ended_ns: int, lasted_s: float) -> None:
        """A stage that was timed elsewhere, as `stage_times.record` says."""
        self._s_of[name].observe(seconds)
        stage_times.record(name, seconds, ended_ns=ended_ns, lasted_s=lasted_s)


def open_metrics(process: str) -> WorkerMetrics:
    """The metrics of this process, shared with the supervisor if it wants them.

    To be called once, before any other part makes metrics.
    """
    if SHARED in os.environ:
        name = process.replace(":", "-")  # part of a file's name
        values.ValueClass = values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]
    return WorkerMetrics()
