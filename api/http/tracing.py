"""Traces: a span for each call that changes something, parent of the work it starts."""

from __future__ import annotations

from contextlib import ExitStack

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars

from api.services.capacity import LAST_SPANS
from worker.contract.telemetry.tracing import HEADER, Span, Traces, trace_fields, traceparent

ANSWER_HEADER = "X-Trace-Id"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def register(app: Flask, traces: Traces) -> None:
    """Trace the requests of `app`, after its log has bound their ids. Nothing if traces are off."""
    app.extensions[LAST_SPANS] = traces.stop
    if not traces.on:
        return

    def begin() -> None:
        if _is_traced():
            _enter(traces)

    app.before_request(begin)
    app.after_request(_describe)
    app.teardown_request(_leave)


def _is_traced() -> bool:
    """Reads are not, unless the caller traces them: most of them only ask how far a job is."""
    if not request.path.startswith("/v1/"):
        return False
    return request.method not in _READS or HEADER in request.headers


def _enter(traces: Traces) -> None:
    route = str(request.url_rule or "unknown")
    facts = {"http.request.method": request.method, "http.route": route}
    parent = request.headers.get(HEADER)
    g.trace = stack = ExitStack()
    name = f"{request.method} {route}"
    g.span = stack.enter_context(traces.span(name, parent=parent, kind="server", attributes=facts))
    bind_contextvars(**trace_fields(traceparent()))


def _describe(response: Response) -> Response:
    span: Span | None = g.get("span")
    if span is None:
        return response
    span.say({"http.response.status_code": response.status_code, "guanwu.request": g.request_id})
    if response.status_code >= 500:
        span.fail(str(response.status_code))
    if traced := trace_fields(traceparent()):
        response.headers[ANSWER_HEADER] = traced["trace_id"]
    return response


def _leave(_: BaseException | None) -> None:
    if (stack := g.pop("trace", None)) is not None:
        stack.close()
