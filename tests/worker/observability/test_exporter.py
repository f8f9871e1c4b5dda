"""`/metrics` of a worker: served by the supervisor, or by a process that stands alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import httpx
import pytest

from deploy.ports import LOOPBACK, keep_or_choose
from tests.support.prometheus_text import Exposition
from tests.support.stack import SettingsFactory
from worker.contract.errors import SettingsInvalid
from worker.observability.exporter import (
    Life,
    MetricsAddress,
    address_of,
    serve_metrics,
    serve_own_metrics,
)
from worker.observability.metrics import WorkerMetrics

COUNT = """
from worker.observability.metrics import open_metrics
metrics = open_metrics("cuda:0")
metrics.images.labels("succeeded", "bulk").inc(2)
metrics.resident_bytes.labels("cuda:0").set(7)
"""


@pytest.fixture
def address() -> MetricsAddress:
    return MetricsAddress(LOOPBACK, keep_or_choose(None))


def url_of(address: MetricsAddress) -> str:
    return f"http://{address.host}:{address.port}/metrics"


def test_counts_of_a_process_outlive_it_and_its_gauges_do_not(address: MetricsAddress) -> None:
    with serve_metrics(address, lambda: [Life("cuda:0", up=False, deaths=2)]) as shared:
        assert shared is not None
        for lives in (1, 2):
            environment = os.environ | shared.environment
            subprocess.run([sys.executable, "-c", COUNT], env=environment, check=True, timeout=60)
            seen = Exposition(url_of(address))
            assert seen.total("guanwu_images_total") == 2 * lives
        assert seen.total("guanwu_process_resident_bytes") == 7
        shared.forget_gauges("cuda:0")
        seen = Exposition(url_of(address))
        assert not seen.of("guanwu_process_resident_bytes")
        assert seen.total("guanwu_process_up", process="cuda:0") == 0
        assert seen.total("guanwu_process_deaths_total", process="cuda:0") == 2


def test_a_process_alone_serves_its_own_numbers_while_it_works(
    settings: SettingsFactory, address: MetricsAddress
) -> None:
    metrics = WorkerMetrics()
    metrics.overdue.inc(3)
    with serve_own_metrics(metrics, settings(metrics_port=address.port)):
        assert Exposition(url_of(address)).total("guanwu_lease_expiries_total") == 3
    with pytest.raises(httpx.ConnectError):
        httpx.get(url_of(address))


def test_a_port_that_is_taken_is_named_with_its_setting(address: MetricsAddress) -> None:
    with socket.create_server((address.host, address.port)):
        wanted = f"GUANWU_METRICS_PORT={address.port}"
        with pytest.raises(SettingsInvalid, match=wanted), serve_metrics(address, list):
            pass


@pytest.mark.parametrize("off", ["", "0"])
def test_nothing_is_served_unless_a_port_is_named(settings: SettingsFactory, off: str) -> None:
    assert address_of(settings(metrics_port=off)) is None
