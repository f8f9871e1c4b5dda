"""The front door as it runs: gunicorn, threads, sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from api.services.capacity import MAX_POLLS, MAX_STREAMS
from deploy.stack import Stack
from tests.api.requests import CREDENTIALS, OTHER_TOKEN, PNG, TOKEN, TOKENS
from tests.support.stack import Buckets, SettingsFactory

pytestmark = pytest.mark.xdist_group("gunicorn")  # one process, or each would start a server

START_S = 30.0


Server = tuple[str, "subprocess.Popen[bytes]"]


@contextmanager
def serving(own: dict[str, str], log_path: Path) -> Iterator[Server]:
    """A front door of its own process, set up by gunicorn_conf, with small limits."""
    address = f"127.0.0.1:{_free_port()}"
    command = [
        *(sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf"),
        *("-b", address, "api.wsgi:application"),
    ]
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            command, env={**os.environ, **own, "WEB_CONCURRENCY": "1"}, stdout=log, stderr=log
        )
    try:
        _wait_until_alive(f"http://{address}", server)
        yield f"http://{address}", server
    finally:
        server.terminate()
        server.wait(timeout=20)
        log_text = log_path.read_text()
    assert not [token for token in (TOKEN, OTHER_TOKEN) if token in log_text]
    assert "Traceback" not in log_text


def _limited(settings: SettingsFactory) -> dict[str, str]:
    return settings.environment(tokens=TOKENS, max_request_bytes=20 * 2**20, max_image_bytes=2**20)


@pytest.fixture(scope="module")
def url(
    services: Stack, buckets: Buckets, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Of the server that tests share which leave it as it was."""
    bucket = buckets.take()
    factory = SettingsFactory(
        redis_url=services.redis_url, redis_prefix="test-gunicorn", bucket=bucket
    )
    own = {name: services.environment[name] for name in CREDENTIALS} | _limited(factory)
    with serving(own, tmp_path_factory.mktemp("gunicorn") / "log") as (url, _):
        yield url
    buckets.drop(bucket)


@pytest.fixture
def own_server(settings: SettingsFactory, tmp_path: Path) -> Iterator[Server]:
    """The server of a test that ends it."""
    with serving(_limited(settings), tmp_path / "log") as server:
        yield server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_alive(url: str, server: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + START_S
    with httpx.Client() as http:
        while time.monotonic() < end_s:
            assert server.poll() is None, "gunicorn ended"
            try:
                if http.get(url + "/healthz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise AssertionError("gunicorn does not answer")


def calling(url: str, token: str = TOKEN, *, connections: int = 100) -> httpx.Client:
    return httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=40,
        limits=httpx.Limits(max_connections=connections),
    )


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with calling(url) as client:
        yield client


def test_photo_goes_through_a_real_server(http: httpx.Client) -> None:
    answer = http.post("/v1/jobs", files=[("files", ("猫.png", PNG))])
    assert answer.status_code == 202
    job = http.get(answer.headers["Location"]).json()
    assert job["counts"]["total"] == 1


def test_jobs_are_submitted_and_watched_side_by_side(http: httpx.Client) -> None:
    def one(n: int) -> int:
        answer = http.post("/v1/jobs", files=[("files", (f"{n}.png", PNG + bytes([n])))])
        return http.get(answer.headers["Location"]).status_code

    with ThreadPoolExecutor(12) as callers:
        assert set(callers.map(one, range(48))) == {200}


def test_body_over_the_limit_gets_its_answer_while_it_is_sent(http: httpx.Client) -> None:
    big = b"x" * (30 * 2**20)
    answer = http.post("/v1/jobs", files=[("files", ("big.png", big))])
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")
    assert http.get("/v1/jobs").status_code == 200


def test_body_of_unknown_length_is_read_up_to_the_limit(http: httpx.Client) -> None:
    def form(size: int) -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(size // 2**16):
            yield b"x" * 2**16
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    ok = http.post("/v1/jobs", content=form(2**20), headers=headers)
    assert ok.status_code == 202
    over = http.post("/v1/jobs", content=form(30 * 2**20), headers=headers)
    assert (over.status_code, over.json()["code"]) == (413, "request_too_large")


def test_client_that_hangs_up_half_way_harms_nobody(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            head = (
                f"POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {OTHER_TOKEN}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
            )
            connection.sendall(head.encode() + b"--b\r\n")
    with calling(url, OTHER_TOKEN) as http:
        assert http.get("/v1/jobs").json()["items"] == []


# Some seconds, as the server is this test's own: it is ended. So it is below.
def test_open_streams_take_no_thread_from_other_calls_nor_hold_up_the_end(
    own_server: Server,
) -> None:
    url, server = own_server
    with (
        calling(url) as http,
        calling(url, connections=MAX_STREAMS) as patient,
        ExitStack() as watched,
    ):
        job = http.post("/v1/jobs", files=[("files", ("a.png", PNG))]).json()
        for _ in range(MAX_STREAMS):
            answer = watched.enter_context(patient.stream("GET", job["links"]["events"]))
            assert answer.status_code == 200
        full = http.get(job["links"]["events"])
        assert (full.status_code, full.json()["code"]) == (503, "streams_full")
        started_s = time.monotonic()
        with ThreadPoolExecutor(16) as callers:
            answers = callers.map(lambda _: http.get("/v1/jobs").status_code, range(64))
            assert set(answers) == {200}
        assert time.monotonic() - started_s < 10
        server.terminate()
        server.wait(timeout=10)  # less than a heartbeat, and than gunicorn's own patience


def test_long_polls_take_no_thread_from_other_calls_nor_hold_up_the_end(
    own_server: Server,
) -> None:
    url, server = own_server
    with (
        calling(url) as http,
        calling(url, connections=MAX_POLLS) as patient,
        ThreadPoolExecutor(MAX_POLLS) as pollers,
    ):
        job = http.post("/v1/jobs", files=[("files", ("a.png", PNG))]).json()
        began_s = time.monotonic()
        waits = [
            pollers.submit(patient.get, job["links"]["self"], params={"wait": 30})
            for _ in range(MAX_POLLS)
        ]
        time.sleep(1)
        assert not any(wait.done() for wait in waits)
        with ThreadPoolExecutor(16) as callers:
            answers = callers.map(lambda _: http.get("/v1/jobs").status_code, range(64))
            assert set(answers) == {200}
        assert http.get(job["links"]["self"], params={"wait": 30}).status_code == 200
        assert time.monotonic() - began_s < 15
        server.terminate()
        assert {wait.result(timeout=10).status_code for wait in waits} == {200}
        server.wait(timeout=10)


def test_bad_settings_stop_the_server(settings: SettingsFactory) -> None:
    own = settings.environment(log_level="LOUD")
    command = [
        *(sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf"),
        *("-b", "127.0.0.1:0", "api.wsgi:application"),
    ]
    done = subprocess.run(
        command, env={**os.environ, **own}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "guanwu: GUANWU_LOG_LEVEL='LOUD'" in done.stderr
    assert "Traceback" not in done.stderr
