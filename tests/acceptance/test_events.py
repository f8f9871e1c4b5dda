"""Events of jobs on the running stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.stack import Stack
from guanwu import Client


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, headers=stack.authorization, timeout=60) as client:
        yield client


def events(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Id, name and job of each event, as an EventSource would read them."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        if not line and "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


def test_a_stream_tells_progress_and_the_end_and_resumes_where_it_broke_off(
    stack: Stack, http: httpx.Client, shared_data: Path
) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:24]
    with Client(stack.url, stack.token) as client:
        job = client.submit(photos)
    path = job.view.links["events"]
    with http.stream("GET", path) as first:
        assert first.headers["Content-Type"].startswith("text/event-stream")
        seen, name, view = next(events(first.iter_lines()))
    assert view["id"] == job.id
    found = []
    if name != "done":
        with http.stream("GET", path, headers={"Last-Event-ID": seen}) as second:
            found = list(events(second.iter_lines()))
        assert seen not in [event for event, _, _ in found]
        seen, name, view = found[-1]
    assert (name, view["done"], view["counts"]["succeeded"]) == ("done", True, len(photos))
    assert [event for _, event, _ in found[:-1]] == ["progress"] * (len(found) - 1)
    assert http.get(path, headers={"Last-Event-ID": seen}).status_code == 204
