"""Spans that go to a collector, by OpenTelemetry's SDK over OTLP/HTTP.

Where to, how much and as what is said by its own standard variables, OTEL_*. Spans wait in a
queue that drops what it has no room for, and a thread of its own sends them: a collector that
is away costs spans, nothing else.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.contract.errors import GuanwuError
from worker.contract.telemetry.tracing import (
    HEADER,
    Attributes,
    Kind,
    Span,
    Traces,
    below,
    traceparent,
)

LAST_S = 2.0
QUIET_S = 60.0

_KINDS = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "consumer": trace.SpanKind.CONSUMER,
}
_format = TraceContextTextMapPropagator()


class OtlpTraces(Traces):
    """One process's. Open it after a fork: its thread does not survive one.

    Args:
        service: what the spans are of, unless OTEL_SERVICE_NAME says another name.
        process: which of the service's processes this is.
    """

    on = True

    def __init__(self, service: str, process: str) -> None:
        own = {SERVICE_INSTANCE_ID: f"{process}-{os.getpid()}"}
        if "OTEL_SERVICE_NAME" not in os.environ:
            own[SERVICE_NAME] = service
        _quieten()
        self._provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("guanwu")

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        kind: Kind = "internal",
        attributes: Attributes | None = None,
    ) -> Iterator[Span]:
        above = _context(parent or traceparent())
        recorded = self._tracer.start_span(name, above, kind=_KINDS[kind], attributes=attributes)
        span = _Kept(self._tracer, recorded)
        try:
            with below(span.traceparent):
                yield span
        except BaseException as exc:
            span.fail(exc.code if isinstance(exc, GuanwuError) else type(exc).__name__)
            raise
        finally:
            recorded.end()

    def stop(self) -> None:
        """Send what is left. A collector that does not take it within two seconds has lost it."""
        last = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(LAST_S)


class _Kept(Span):
    """A span of the SDK's."""

    def __init__(self, tracer: trace.Tracer, recorded: trace.Span) -> None:
        self._tracer = tracer
        self._recorded = recorded
        carrier: dict[str, str] = {}
        _format.inject(carrier, self._above())
        self.traceparent = carrier.get(HEADER)

    def _above(self) -> Context:
        return trace.set_span_in_context(self._recorded, Context())

    def say(self, attributes: Attributes) -> None:
        self._recorded.set_attributes(attributes)

    def fail(self, code: str) -> None:
        self._recorded.set_attribute("error.type", code)
        self._recorded.set_status(trace.StatusCode.ERROR)

    def child(self, name: str, attributes: Attributes, *, began_ns: int, ended_ns: int) -> None:
        child = self._tracer.start_span(
            name, self._above(), attributes=attributes, start_time=began_ns
        )
        child.end(ended_ns)


def _context(parent: str | None) -> Context:
    """The context of a traceparent; one that cannot be read begins a new trace."""
    return _format.extract({} if parent is None else {HEADER: parent}, Context())


class _OnceAMinute(logging.Filter):
    """Lets one line through, and the next after a minute: a collector may be away for long."""

    def __init__(self) -> None:
        super().__init__()
        self._next_s = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + QUIET_S
        return True


def _quieten() -> None:
    """The exporter says each second that its collector is away, and the queue that it is full."""
    once = _OnceAMinute()
    for name in (OTLPSpanExporter.__module__, "opentelemetry.sdk._shared_internal"):
        logging.getLogger(name).addFilter(once)
