"""A front door on a socket, a client, and the `guanwu` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guanwu import Client
from tests.api.client.command import Guanwu
from tests.api.requests import TOKEN, Calls, served


@pytest.fixture
def url(calls: Calls) -> Iterator[str]:
    """A front door that clients reach over a real socket."""
    with served(calls) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, TOKEN, retries=1) as client:
        yield client


@pytest.fixture
def environment(url: str) -> dict[str, str]:
    """Of a shell in which `guanwu` is set up."""
    root = str(Path(__file__).parents[3])
    scripts = str(Path(sys.executable).parent)
    own = {"PYTHONPATH": f"{root}:{root}/api/client", "GUANWU_URL": url, "GUANWU_TOKEN": TOKEN}
    return {**os.environ, **own, "PATH": f"{scripts}:{os.environ['PATH']}"}


@pytest.fixture
def guanwu(environment: dict[str, str], tmp_path: Path) -> Guanwu:
    return Guanwu(tmp_path, environment)
