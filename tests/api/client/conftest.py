"""A front door on a socket, and a client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.client import Client
from tests.api.calls import TOKEN, Calls, served


@pytest.fixture
def url(calls: Calls) -> Iterator[str]:
    """A front door that clients reach over a real socket."""
    with served(calls) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, TOKEN, retries=1) as client:
        yield client
