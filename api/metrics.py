"""Numbers for Prometheus: what waits, how fast it is done, and what was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import cast

import structlog
from flask import Flask, Response, current_app, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api import spec
from api.services import services
from worker.contract.errors import RedisUnavailable
from worker.contract.record import Load

log = structlog.get_logger(__name__)

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # set by gunicorn_conf: its processes count together
_NAME = "guanwu_requests"

metrics = APIBlueprint(
    "metrics",
    __name__,
    abp_tags=[Tag(name="Health", description="For load balancers and supervisors.")],
)


def register(app: Flask) -> None:
    """Count the requests of `app`, and serve all numbers at /metrics."""
    registry = CollectorRegistry()
    app.extensions[_NAME] = (registry, _counter(registry))
    app.after_request(_count)


def _counter(registry: CollectorRegistry) -> Counter:
    return Counter(
        "guanwu_http_requests",
        "Requests answered, by route and status.",
        ("method", "route", "status"),
        registry=registry,
    )


def _count(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else "unknown"
    _, counter = cast("tuple[CollectorRegistry, Counter]", current_app.extensions[_NAME])
    method = request.method if request.url_rule else "any"
    counter.labels(method, route, str(response.status_code)).inc()
    return response


@metrics.get(
    "/metrics",
    operation_id="read_metrics",
    summary="Numbers for Prometheus; nothing else, so without a token",
    description=spec.METRICS,
    responses={200: spec.text_response("Prometheus's text format.")},
)
def read_metrics() -> Response:
    own, _ = cast("tuple[CollectorRegistry, Counter]", current_app.extensions[_NAME])
    registry = own
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
    """What Redis tells; nothing while it is away."""

    def collect(self) -> Iterator[Metric]:
        try:
            load = services().records.load()
        except RedisUnavailable as exc:
            log.warning("metrics without the queue", error=exc.message)
            yield GaugeMetricFamily("guanwu_redis_up", "1: Redis answers.", 0)
            return
        yield GaugeMetricFamily("guanwu_redis_up", "1: Redis answers.", 1)
        yield from _load_metrics(load)


def _load_metrics(load: Load) -> Iterator[Metric]:
    pending = GaugeMetricFamily(
        "guanwu_pending_images", "Images that wait or run; claimed ones count.", labels=["lane"]
    )
    for lane, images in load.pending.items():
        pending.add_metric([lane], images)
    yield pending
    yield GaugeMetricFamily(
        "guanwu_images_per_second", "Done by all workers, last minute.", load.images_per_s
    )
    if load.eta_error is not None:
        yield GaugeMetricFamily(
            "guanwu_eta_error",
            "Mean error of predicted ends, as a share of what was predicted.",
            load.eta_error,
        )
