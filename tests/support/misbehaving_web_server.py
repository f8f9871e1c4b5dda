"""A web server on loopback that gives pictures, and misbehaves in every way that is asked for."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.support.http_server import serving

DRIP_S = 0.1


class WebServer(ThreadingHTTPServer):
    """Counts its connections and keeps what it was asked.

    `files` are what it gives by path; beside them it knows `/to?url=` (a redirect), `/status/N`,
    `/drip` (a body byte by byte), `/stall` (headers byte by byte), `/endless`, `/huge` (by
    its header), `/cut`, `/packed`.
    `troubles` are statuses that it answers first, whatever is asked for.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.troubles: list[int] = []
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def process_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown(self) -> None:
        self.closing.set()
        super().shutdown()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no fault of this server's."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        where = urlsplit(self.path)
        body = self.server.files.get(where.path)
        if self.server.troubles:
            self._send(self.server.troubles.pop(0), b"")
        elif body is not None:
            self._send(200, body, {"Content-Type": "text/html"})  # not to be believed
        elif where.path == "/to":
            target = parse_qs(where.query, keep_blank_values=True)["url"][0]
            in_utf8 = target.encode().decode("latin-1")
            self._send(302, b"", {"Location": in_utf8, "Set-Cookie": "a=b"})
        elif where.path.startswith("/status/"):
            self._send(int(where.path.removeprefix("/status/")), b"no")
        elif where.path == "/packed":
            self._send(200, b"\x1f\x8b", {"Content-Encoding": "gzip"})
        elif where.path == "/cut":
            self._send(200, b"half", {"Content-Length": "8"})
        elif where.path == "/huge":
            self._send(200, b"x", {"Content-Length": str(10**12)})
        elif where.path == "/endless":
            self._drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536, pause_s=0)
        elif where.path == "/drip":
            self._drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause_s=DRIP_S)
        elif where.path == "/stall":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", pause_s=DRIP_S)
        else:
            self._send(404, b"")

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, head: bytes, piece: bytes, *, pause_s: float) -> None:
        self.wfile.write(head)
        while not self.server.closing.is_set():
            self.wfile.write(piece)
            time.sleep(pause_s)


def web_server(files: dict[str, bytes]) -> AbstractContextManager[WebServer]:
    return serving(WebServer(files))
