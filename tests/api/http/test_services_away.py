"""Redis or the store is away, stopped or back again: 503 in good time, never a hang."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from werkzeug.test import TestResponse

from deploy.child import Child
from deploy.stack import Stack
from tests.api.requests import CREDENTIALS, front_door, problem
from tests.support.stack import SettingsFactory, empty_bucket, running_stack
from worker.contract.settings.model import Settings

PATIENCE_S = 12.0


@pytest.fixture(scope="module")
def own_services() -> Iterator[Stack]:
    """Services that these tests may stop."""
    with running_stack(api=False, workers=0) as stack:
        yield stack


@pytest.fixture
def fragile(own_services: Stack, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in CREDENTIALS:
        monkeypatch.setenv(name, own_services.environment[name])
    factory = SettingsFactory(
        redis_url=own_services.redis_url, redis_prefix="away", bucket=empty_bucket(own_services)
    )
    return factory(redis_timeout_s=0.2, s3_timeout_s=0.5)


@contextmanager
def stopped(child: Child) -> Iterator[None]:
    """The child exists, but answers nobody."""
    family = child.family()
    for process in family:
        os.kill(process.pid, signal.SIGSTOP)
    yield
    for process in family:
        os.kill(process.pid, signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def expect_503(answer: TestResponse, code: str, since_s: float) -> None:
    problem(answer, 503, code)
    assert int(answer.headers["Retry-After"]) >= 1
    assert time.monotonic() - since_s < PATIENCE_S


def test_nobody_at_redis_is_503(fragile: Settings) -> None:
    dead = fragile.model_copy(
        update={"redis_url": type(fragile.redis_url)(f"redis://127.0.0.1:{free_port()}/0")}
    )
    with front_door(dead) as calls:
        asked: list[Callable[[], TestResponse]] = [
            calls.submit_form,
            lambda: calls.get("/v1/jobs"),
            lambda: calls.get("/v1/models"),
            lambda: calls.get("/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ]
        for call in asked:
            expect_503(call(), "redis_unavailable", time.monotonic())


def test_nobody_at_the_store_is_503(fragile: Settings) -> None:
    dead = fragile.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{free_port()}"})
    with front_door(dead) as calls:
        started_s = time.monotonic()
        expect_503(calls.submit_form(), "store_unavailable", started_s)
        started_s = time.monotonic()
        unknown = calls.get("/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
        expect_503(unknown, "store_unavailable", started_s)


# Some seconds, as every try of each call runs into its time limit. So it is below.
def test_stopped_redis_is_503_and_serves_when_it_goes_on(
    fragile: Settings, own_services: Stack
) -> None:
    with front_door(fragile) as calls:
        job = calls.submit(1)
        with stopped(own_services.valkey.child):
            expect_503(calls.submit_form(), "redis_unavailable", time.monotonic())
            expect_503(calls.get(job["links"]["self"]), "redis_unavailable", time.monotonic())
            body = problem(calls.get("/readyz"), 503, "service_unavailable")
            assert [error["field"] for error in body["errors"]] == ["redis"]
            assert calls.get("/healthz").status_code == 200
        assert calls.submit_form().status_code == 202
        assert calls.get(job["links"]["self"]).status_code == 200
        assert calls.get("/readyz").status_code == 200


def test_stopped_store_is_503_and_serves_when_it_goes_on(
    fragile: Settings, own_services: Stack
) -> None:
    with front_door(fragile) as calls:
        job = calls.submit(1)
        with stopped(own_services.seaweed.child):
            expect_503(calls.submit_form(), "store_unavailable", time.monotonic())
            results = calls.get(job["links"]["results"])
            expect_503(results, "store_unavailable", time.monotonic())
            body = problem(calls.get("/readyz"), 503, "service_unavailable")
            assert [error["field"] for error in body["errors"]] == ["store"]
            assert calls.get(job["links"]["self"]).status_code == 200
        assert calls.submit_form().status_code == 202
        assert calls.get("/readyz").status_code == 200


def test_wrong_credentials_of_the_store_are_no_fault_of_the_client(
    fragile: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with front_door(fragile) as calls:
        problem(calls.submit_form(), 500, "store_denied")
        body = problem(calls.get("/readyz"), 503, "service_unavailable")
        assert [error["field"] for error in body["errors"]] == ["store"]


def test_redis_restarted_between_two_jobs_loses_no_wake_up(
    fragile: Settings, own_services: Stack
) -> None:
    with front_door(fragile) as calls:
        calls.submit(1)
        own_services.valkey.child.stop()
        expect_503(calls.submit_form(), "redis_unavailable", time.monotonic())
        own_services.valkey.start()
        own_services.valkey.wait()
        records = calls.app.extensions["guanwu"].records
        before = records.queue.queued_wake_ups("hi")
        calls.submit(1)
        assert records.queue.queued_wake_ups("hi") == before + 1
