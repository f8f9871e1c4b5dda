"""Pictures by URL on the running stack, between URLs that are hostile, broken, large or slow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

import httpx
import pytest

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import JobStatus
from tests.acceptance.conftest import MAX_BYTES, TIMEOUT_S
from tests.support.misbehaving_web_server import WebServer, web_server

WAIT_S = 180


@pytest.fixture(scope="module")
def victim() -> Iterator[WebServer]:
    """On the same address, on a port that is not to be fetched from."""
    with web_server({"/0.jpg": b"secret"}) as server:
        yield server


@pytest.fixture
def http(url_stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=url_stack.url, headers=url_stack.authorization, timeout=30
    ) as client:
        yield client


def finished(stack: Stack, job: str) -> tuple[JobStatus, list[ItemResult]]:
    with Client(stack.url, stack.token) as client:
        handle = client.job(job)
        view = handle.wait(timeout_s=WAIT_S)
        return view.status, list(handle.results())


def test_a_bad_url_fails_alone_and_photos_between_are_labelled(
    url_stack: Stack, http: httpx.Client, pages: WebServer, victim: WebServer
) -> None:
    inward = f"/to?url=http://127.0.0.1:{victim.port}/0.jpg"
    paths = {
        "/0.jpg": None,
        "/none.jpg": "url_refused",
        "/to?url=/1.jpg": None,
        inward: "url_not_allowed",
        "/to?url=file:///etc/passwd": "url_not_allowed",
        "/endless": "image_too_large",
        "/drip": "url_unreachable",
        "/stall": "url_unreachable",
        "/status/503": "url_unreachable",
        "/page.html": "image_unsupported",
        "/2.jpg": None,
    }
    images = [{"url": f"http://127.0.0.1:{pages.port}{path}"} for path in paths]
    started_s = time.monotonic()
    job = http.post("/v1/jobs", json={"images": images}).raise_for_status().json()
    assert time.monotonic() - started_s < TIMEOUT_S  # nothing was fetched by the front door
    status, items = finished(url_stack, job["id"])
    assert status is JobStatus.PARTIALLY_SUCCEEDED
    codes = [item.error.code if item.error else None for item in items]
    assert codes == list(paths.values())
    assert all(item.labels for item in items if item.error is None)
    assert items[0].image.filename == "0.jpg"
    for item in items:
        if item.error is not None:
            assert ";" in item.error.message
            assert item.error.retryable is (item.error.code == "url_unreachable")
    assert victim.connections == 0


def test_urls_and_uploads_give_the_labels_that_the_same_files_give(
    url_stack: Stack, http: httpx.Client, pages: WebServer, photos: Sequence[bytes]
) -> None:
    images = [{"url": f"http://127.0.0.1:{pages.port}/{n}.jpg"} for n in range(len(photos))]
    with Client(url_stack.url, url_stack.token) as client:
        images += [{"upload": client.upload(photo), "filename": "up.jpg"} for photo in photos]
        files = client.submit([(f"{n}.jpg", photo) for n, photo in enumerate(photos)])
        files.wait(timeout_s=WAIT_S)
        by_file = list(files.results())
    job = http.post("/v1/jobs", json={"images": images}).raise_for_status().json()
    _, named = finished(url_stack, job["id"])
    by_url = named[: len(photos)]
    assert [item.image for item in by_url] == [item.image for item in by_file]
    assert [item.labels[0].id for item in named] == [item.labels[0].id for item in by_file] * 2


def test_what_is_refused_by_how_it_is_written_fails_the_request_at_its_field(
    http: httpx.Client, pages: WebServer, victim: WebServer
) -> None:
    good = {"url": f"http://127.0.0.1:{pages.port}/0.jpg"}
    bad = [f"http://127.0.0.1:{victim.port}/", f"http://127.1:{pages.port}/0.jpg"]
    answer = http.post("/v1/jobs", json={"images": [good, *({"url": url} for url in bad)]})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "url_not_allowed"
    assert [e["field"] for e in problem["errors"]] == ["images.1.url", "images.2.url"]


def test_a_manifest_may_mix_urls_and_uploads_and_a_retry_fetches_again(
    url_stack: Stack, http: httpx.Client, pages: WebServer, photos: Sequence[bytes]
) -> None:
    late = f"/late-{time.monotonic_ns()}.jpg"
    with Client(url_stack.url, url_stack.token) as client:
        small = client.upload(photos[0])
        large = client.upload(photos[0] + b"\0" * MAX_BYTES)
        lines = [
            {"image": {"upload": small}},
            {"image": {"upload": large}},
            {"image": {"url": f"http://127.0.0.1:{pages.port}/status/503"}},
            {"image": {"url": f"http://127.0.0.1:{pages.port}{late}"}},
            {"image": {"url": "http://169.254.169.254/latest/meta-data/"}},
        ]
        manifest = client.upload("\n".join(map(json.dumps, lines)).encode())
    asked = {"manifest": {"upload": manifest}}
    job = http.post("/v1/jobs", json=asked).raise_for_status().json()
    _, items = finished(url_stack, job["id"])
    assert [item.error.code if item.error else None for item in items] == [
        None,
        "image_too_large",
        "url_unreachable",
        "url_refused",
        "url_not_allowed",
    ]
    pages.files[late] = photos[1]
    http.post(f"/v1/jobs/{job['id']}/retry").raise_for_status()
    _, items = finished(url_stack, job["id"])
    assert items[3].labels
    assert items[2].error is not None
