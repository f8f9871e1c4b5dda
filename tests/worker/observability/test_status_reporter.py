from __future__ import annotations

import time

import pytest

from guanwu.wire.fleet import Pulse
from worker.observability.metrics import WorkerMetrics
from worker.observability.resource_gauges import ResourceGauges
from worker.observability.status_reporter import StatusReporter


class Kept:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.pulses: list[Pulse] = []

    def publish(self, pulse: Pulse) -> None:
        self.pulses.append(pulse)


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics()


def beaten(metrics: WorkerMetrics, *, work: int) -> Pulse:
    kept = Kept()
    reporter = StatusReporter(metrics, "cpu", kept)
    began_s = time.monotonic()
    for _ in range(work):
        metrics.images.labels("succeeded", "bulk").inc(3)
        metrics.images.labels("failed", "hi").inc()
        metrics.stage_s.labels("upload").observe(0.02)
        metrics.batch_images.observe(4)
        metrics.failures.labels("image_corrupt").inc()
    time.sleep(0.1)
    reporter.report()
    assert kept.pulses[0].seconds <= time.monotonic() - began_s + 0.1
    return kept.pulses[0]


def test_a_pulse_tells_rates_since_the_process_began(metrics: WorkerMetrics) -> None:
    metrics.images.labels("succeeded", "bulk").inc(1000)  # of an earlier life
    pulse = beaten(metrics, work=5)
    assert 5 * 4 / pulse.images_per_s == pytest.approx(5 / pulse.failed_per_s)
    assert 0 < pulse.images_per_s <= 5 * 4 / 0.1
    assert pulse.batch_images == 4
    assert pulse.stages["upload"].mean_ms == pytest.approx(20)
    assert pulse.slowest == "upload"
    assert [(t.code, t.count) for t in pulse.troubles] == [("image_corrupt", 5)]


def test_an_idle_process_has_a_pulse_without_work(metrics: WorkerMetrics) -> None:
    pulse = beaten(metrics, work=0)
    assert (pulse.images_per_s, pulse.stages, pulse.slowest) == (0, {}, None)
    assert pulse.batch_images is None


def test_memory_and_halved_batches_are_read(metrics: WorkerMetrics) -> None:
    splits = [2]
    gauges = ResourceGauges(metrics, "cpu", splits=lambda: splits[0])
    gauges.read()
    splits[0] = 5
    gauges.read()
    told = {s.name: s.value for f in metrics.registry.collect() for s in f.samples if not s.labels}
    assert told["guanwu_out_of_memory_splits_total"] == 5
    assert beaten(metrics, work=0).memory_mb is not None
