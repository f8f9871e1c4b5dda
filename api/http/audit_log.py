"""Audit log: one line for each request that changes something or is refused."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g, request

from api.http.rate_limits import READING

log = structlog.get_logger(__name__)

_REFUSED = frozenset({401, 403})


def register(app: Flask) -> None:
    """Write audit lines for the requests of `app`; request id, tenant and job are bound."""
    app.after_request(_write)


def _write(response: Response) -> Response:
    changes = request.method not in READING and request.path.startswith("/v1/")
    if changes or response.status_code in _REFUSED:
        log.info(
            "audit",
            action=(request.endpoint or "unknown").rpartition(".")[2],
            path=request.path,
            key=g.get("key"),
            client=request.remote_addr,
            status=response.status_code,
            made=response.headers.get("Location"),
        )
    return response
