"""Access log: one structured line a request, under an id that the client gets too."""

from __future__ import annotations

import re
import time

import structlog
from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars
from ulid import ULID

log = structlog.get_logger(__name__)

HEADER = "X-Request-Id"
_TRUSTED = re.compile(r"[\w.\-]{1,64}", re.ASCII)
_QUIET = frozenset({"/healthz", "/readyz"})


def register(app: Flask) -> None:
    """Give every request of `app` an id and a log line."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_clear)


def _begin() -> None:
    request_id = request.headers.get(HEADER, "")
    g.request_id = request_id if _TRUSTED.fullmatch(request_id) else str(ULID())
    g.started_s = time.perf_counter()
    clear_contextvars()
    bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    write = log.debug if request.path in _QUIET else log.info
    write(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        duration_ms=round((time.perf_counter() - g.started_s) * 1000, 1),
        sent_bytes=response.content_length,
    )
    return response


def _clear(_: BaseException | None) -> None:
    clear_contextvars()
