"""A real OTLP/HTTP collector on loopback: reads the protobuf it is sent, keeps the spans."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.support.http_server import serving


@dataclass(frozen=True)
class SeenSpan:
    """A span as it came. Ids are hexadecimal, `parent` is empty for a root."""

    service: str
    trace: str
    id: str
    parent: str
    name: str
    began_ns: int
    ended_ns: int
    attributes: dict[str, str | int | float | bool]


class Collector(ThreadingHTTPServer):
    """Takes spans; one that is not `awake` takes connections and answers nothing."""

    daemon_threads = True

    def __init__(self, *, awake: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.awake = awake
        self.calls = 0
        self.spans: list[SeenSpan] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def shutdown(self) -> None:
        self.closing.set()
        super().shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        self.server.calls += 1
        if not self.server.awake:
            self.server.closing.wait()
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _spans(request: ExportTraceServiceRequest) -> Iterator[SeenSpan]:
    for of_process in request.resource_spans:
        service = str(_attributes(of_process.resource.attributes)["service.name"])
        for scope in of_process.scope_spans:
            for span in scope.spans:
                yield SeenSpan(
                    service=service,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                )


def _attributes(pairs: Iterator[KeyValue]) -> dict[str, str | int | float | bool]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


def collecting(*, awake: bool = True) -> AbstractContextManager[Collector]:
    return serving(Collector(awake=awake))
