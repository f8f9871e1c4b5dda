"""`/metrics` of a worker: one port for all its processes, served by their supervisor.

It answers, and shows the process that is down, while one hangs or is started again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from worker.contract.errors import SettingsInvalid
from worker.contract.settings.model import Settings
from worker.observability.metrics import SHARED, WorkerMetrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Life:
    """State of a process that is started again when it dies."""

    name: str
    up: bool
    deaths: int


@dataclass(frozen=True)
class MetricsAddress:
    """Host and port of the metrics server."""

    host: str
    port: int


def address_of(settings: Settings) -> MetricsAddress | None:
    """The address in the settings; None serves no metrics."""
    port = settings.metrics_port
    return MetricsAddress(settings.metrics_host, port) if port else None


class SharedMetrics:
    """The folder in which processes keep their numbers, and what is served from it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @property
    def environment(self) -> Mapping[str, str]:
        """For the processes: where to keep their numbers."""
        return {SHARED: self._folder}

    def forget_gauges(self, name: str) -> None:
        """Of a process that has died; what it has counted stays."""
        mark_process_dead(name.replace(":", "-"), self._folder)  # type: ignore[no-untyped-call]


class _Lives(Collector):
    def __init__(self, read_lives: Callable[[], list[Life]]) -> None:
        self._read_lives = read_lives

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("guanwu_process_up", "1: it runs.", labels=["process"])
        deaths = CounterMetricFamily(
            "guanwu_process_deaths", "Ended by itself, and was started again.", labels=["process"]
        )
        for life in self._read_lives():
            up.add_metric([life.name], float(life.up))
            deaths.add_metric([life.name], life.deaths)
        yield from (up, deaths)


@contextmanager
def serve_own_metrics(metrics: WorkerMetrics, settings: Settings) -> Iterator[None]:
    """Serve the numbers of a process that no supervisor has started, while inside.

    Raises:
        SettingsInvalid: as `serve_metrics`.
    """
    address = address_of(settings)
    if address is None or SHARED in os.environ:
        yield
        return
    with _listening(address, metrics.registry):
        yield


@contextmanager
def serve_metrics(
    address: MetricsAddress | None, read_lives: Callable[[], list[Life]]
) -> Iterator[SharedMetrics | None]:
    """Serve numbers at `address` while inside; None serves nothing.

    Raises:
        SettingsInvalid: the port is taken, or the host is not this machine's.
    """
    if address is None:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="guanwu-metrics-")
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]  # theirs
    registry.register(_Lives(read_lives))
    try:
        with _listening(address, registry):
            yield SharedMetrics(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _listening(address: MetricsAddress, registry: CollectorRegistry) -> Iterator[None]:
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as exc:
        raise SettingsInvalid(
            f"GUANWU_METRICS_PORT={address.port} on {address.host}: {exc.strerror or exc}; "
            "name a free port, and in GUANWU_METRICS_HOST an address of this machine"
        ) from exc
    log.info("metrics served", host=address.host, port=address.port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
