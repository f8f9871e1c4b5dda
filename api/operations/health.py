"""Liveness and readiness of this process."""

from __future__ import annotations

import time
from concurrent.futures import Future

from flask import Response
from pydantic import Field

from api.http.responses import json_response
from api.http.validation import FieldError
from api.openapi import responses
from api.openapi.blueprints import open_blueprint
from api.services.container import services
from guanwu.wire.base import Wire
from worker.contract.errors import GuanwuError, ServiceUnavailable

PROBE_S = 2.0

health = open_blueprint("health", __name__, tag="Health")


class Health(Wire):
    status: str = Field(description="`ok`")


@health.get(
    "/healthz",
    operation_id="is_alive",
    summary="The process answers; asks nobody else",
    responses={200: responses.describe_json("It does.", Health)},
)
def is_alive() -> Response:
    return _ok()


@health.get(
    "/readyz",
    operation_id="is_ready",
    summary="Redis and the object store answer, too",
    responses={200: responses.describe_json("They do.", Health), **responses.problems(503)},
)
def is_ready() -> Response:
    probes = {"redis": services().records.ping, "store": services().store.ping}
    futures = {name: services().pools.probes.submit(probe) for name, probe in probes.items()}
    end_s = time.monotonic() + PROBE_S
    away = [
        FieldError(field=name, message=why)
        for name, future in futures.items()
        if (why := _why_away(future, end_s))
    ]
    if away:
        names = " and ".join(str(error.field) for error in away)
        raise ServiceUnavailable(f"not ready: {names} away", errors=away)
    return _ok()


def _why_away(probe: Future[None], end_s: float) -> str | None:
    try:
        probe.result(timeout=max(0.0, end_s - time.monotonic()))
    except GuanwuError as exc:
        return exc.message
    except TimeoutError:
        return f"does not answer within {PROBE_S:.0f} s"
    return None


def _ok() -> Response:
    return json_response(Health(status="ok"))
