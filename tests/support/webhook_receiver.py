"""A real receiver of webhooks on loopback: keeps what comes, answers as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.support.http_server import serving

PATIENCE_S = 120.0  # a busy machine starts workers slowly


@dataclass(frozen=True)
class Received:
    """One request as it came, and when."""

    at_s: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The payload, checked by the public verifier.

        Raises:
            WebhookVerificationError
        """
        return Webhook(secret).verify(self.body, self.headers)


class Receiver(ThreadingHTTPServer):
    """Answers with `status`, after `delay_s`, once it is `free`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.status = 204
        self.delay_s = 0.0
        self.free = threading.Event()
        self.free.set()
        self.received: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks"

    def wait(self, count: int = 1) -> list[Received]:
        """Until so many requests have come."""
        wait_until(lambda: len(self.received) >= count, what=f"{count} requests")
        return self.received

    def quiet(self, *, for_s: float) -> int:
        """How many requests have come after so long."""
        time.sleep(for_s)
        return len(self.received)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(time.monotonic(), self.path, headers, body))
        time.sleep(self.server.delay_s)
        self.server.free.wait(PATIENCE_S)
        self.send_response(self.server.status)
        if self.server.status in (301, 302, 307, 308):
            self.send_header("Location", "/moved")
        self.send_header("Content-Length", "0")
        self.end_headers()


def receiving(port: int = 0) -> AbstractContextManager[Receiver]:
    return serving(Receiver(port))


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.02)
