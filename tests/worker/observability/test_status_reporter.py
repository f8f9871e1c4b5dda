from __future__ import annotations

import time

import pytest

from guanwu.wire.fleet import Pulse
from worker.observability.metrics import Meters
from worker.observability.resource_gauges import Readings
from worker.observability.status_reporter import Heart


class Kept:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.pulses: list[Pulse] = []

    def publish(self, pulse: Pulse) -> None:
        self.pulses.append(pulse)


@pytest.fixture
def meters() -> Meters:
    return Meters()


def beaten(meters: Meters, *, work: int) -> Pulse:
    kept = Kept()
    heart = Heart(meters, "cpu", kept)
    began_s = time.monotonic()
    for _ in range(work):
        meters.images.labels("succeeded", "bulk").inc(3)
        meters.images.labels("failed", "hi").inc()
        meters.stage_s.labels("upload").observe(0.02)
        meters.batch_images.observe(4)
        meters.failures.labels("image_corrupt").inc()
    time.sleep(0.1)
    heart.beat()
    assert kept.pulses[0].seconds <= time.monotonic() - began_s + 0.1
    return kept.pulses[0]


def test_a_pulse_tells_rates_since_the_process_began(meters: Meters) -> None:
    meters.images.labels("succeeded", "bulk").inc(1000)  # of an earlier life
    pulse = beaten(meters, work=5)
    assert 5 * 4 / pulse.images_per_s == pytest.approx(5 / pulse.failed_per_s)
    assert 0 < pulse.images_per_s <= 5 * 4 / 0.1
    assert pulse.batch_images == 4
    assert pulse.stages["upload"].mean_ms == pytest.approx(20)
    assert pulse.slowest == "upload"
    assert [(t.code, t.count) for t in pulse.troubles] == [("image_corrupt", 5)]


def test_an_idle_process_has_a_pulse_without_work(meters: Meters) -> None:
    pulse = beaten(meters, work=0)
    assert (pulse.images_per_s, pulse.stages, pulse.slowest) == (0, {}, None)
    assert pulse.batch_images is None


def test_memory_and_halved_batches_are_read(meters: Meters) -> None:
    splits = [2]
    readings = Readings(meters, "cpu", splits=lambda: splits[0])
    readings.read()
    splits[0] = 5
    readings.read()
    told = {s.name: s.value for f in meters.registry.collect() for s in f.samples if not s.labels}
    assert told["guanwu_out_of_memory_splits_total"] == 5
    assert beaten(meters, work=0).memory_mb is not None
