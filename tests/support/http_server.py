"""HTTP servers of the standard library, run beside a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from typing import TypeVar

AnyServer = TypeVar("AnyServer", bound=HTTPServer)


@contextmanager
def serving(server: AnyServer) -> Iterator[AnyServer]:
    """The server answers inside the `with` block, and is closed after it."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
