"""A front door on a socket, and a client."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from api.client import Client
from tests.api.calls import TOKEN, Calls


@pytest.fixture
def url(calls: Calls) -> Iterator[str]:
    """A front door that clients reach over a real socket."""
    server = make_server("127.0.0.1", 0, calls.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, TOKEN, retries=1) as client:
        yield client
