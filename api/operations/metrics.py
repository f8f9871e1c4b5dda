"""Prometheus metrics: queue, throughput, memory of Redis, requests."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import structlog
from flask import Flask, Response, current_app, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.openapi import responses
from api.openapi.blueprints import open_blueprint
from api.operations import descriptions
from api.services.container import services
from guanwu.wire.fleet import ChunkState
from worker.contract.errors import RedisUnavailable
from worker.contract.records.job_record import Load

log = structlog.get_logger(__name__)

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # set by gunicorn_conf: its processes count together
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # 30 ends a long poll
_NAME = "guanwu_requests"

metrics = open_blueprint("metrics", __name__, tag="Health")


@dataclass(frozen=True)
class _Meters:
    """Of one app.

    Attributes:
        seconds: from a request's begin to its answer, long polls included.
        open: requests that are being answered now.
    """

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    open: Gauge


def register(app: Flask) -> None:
    """Count the requests of `app`, and serve all numbers at /metrics."""
    registry = CollectorRegistry()
    app.extensions[_NAME] = _Meters(
        registry=registry,
        requests=Counter(
            "guanwu_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=registry,
        ),
        seconds=Histogram(
            "guanwu_http_request_seconds",
            "Until a request was answered; the body of a stream comes after that.",
            ("method", "route"),
            registry=registry,
            buckets=REQUEST_S,
        ),
        open=Gauge(
            "guanwu_http_requests_open",
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        ),
    )
    app.before_request(_begin)
    app.after_request(_count)
    app.teardown_request(_end)


def _meters() -> _Meters:
    return cast(_Meters, current_app.extensions[_NAME])


def _begin() -> None:
    g.counted_as_open = True
    _meters().open.inc()


def _count(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else "unknown"
    method = request.method if request.url_rule else "any"
    meters = _meters()
    meters.requests.labels(method, route, str(response.status_code)).inc()
    meters.seconds.labels(method, route).observe(time.perf_counter() - g.started_s)
    return response


def _end(_: BaseException | None) -> None:
    if g.pop("counted_as_open", False):
        _meters().open.dec()


@metrics.get(
    "/metrics",
    operation_id="read_metrics",
    summary="Numbers for Prometheus; nothing else, so without a token",
    description=descriptions.METRICS,
    responses={200: responses.describe_text("Prometheus's text format.")},
)
def read_metrics() -> Response:
    registry = _meters().registry
    if SHARED in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # theirs
    text = generate_latest(registry) + generate_latest(_load_registry())
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _load_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_LoadCollector())
    return registry


class _LoadCollector(Collector):
    """Metrics of the queue and of Redis; nothing but `redis_up` while Redis is away."""

    def collect(self) -> Iterator[Metric]:
        records = services().records
        try:
            load, chunks = records.queue.load(), records.queue.chunks()
            memory = records.memory_bytes()
        except RedisUnavailable as exc:
            log.warning("metrics without the queue", error=exc.message)
            yield _gauge("redis_up", "1: Redis answers.", 0)
            return
        yield _gauge("redis_up", "1: Redis answers.", 1)
        yield from _load_metrics(load, chunks)
        yield from _memory_metrics(*memory)


def _load_metrics(load: Load, chunks: Mapping[ChunkState, int]) -> Iterator[Metric]:
    waiting = "Images that wait or run; claimed ones count."
    yield _gauges("pending_images", waiting, "lane", load.pending)
    yield _gauges("chunks", "Parts of jobs: ready, claimed, or to run later.", "state", chunks)
    yield _gauge("images_per_second", "Done by all workers, last minute.", load.images_per_s)
    if load.eta_error is not None:
        wrong = "Mean error of predicted ends, as a share of what was predicted."
        yield _gauge("eta_error", wrong, load.eta_error)


def _memory_metrics(used: int, limit: int) -> Iterator[Metric]:
    yield _gauge("redis_memory_used_bytes", "What Redis holds.", used)
    if limit:
        may = "How much it may hold: maxmemory, or all of its machine."
        yield _gauge("redis_memory_limit_bytes", may, limit)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"guanwu_{name}", text, value)


def _gauges(name: str, text: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"guanwu_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
