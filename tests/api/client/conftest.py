"""A front door on a socket, a worker played by hand in the background, and a client."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from api.client import Client
from tests.api.calls import TOKEN, Calls
from tests.api.hand import Hand


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


@pytest.fixture
def at_work(hand: Hand) -> Iterator[Hand]:
    """Works on whatever comes, until the test ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            while hand.step():
                pass

    thread = threading.Thread(target=work)
    thread.start()
    yield hand
    stop.set()
    thread.join()
