"""When the client tries again and looks again: as the server asks for, and seldom."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Response, request

from guanwu import Client, RequestRefused, TooMany
from guanwu.core.events import EventReader
from guanwu.core.retries import RetryPolicy
from guanwu.errors import Problem, ServerUnavailable, ServerUnreachable
from guanwu.sync.job import JobHandle
from tests.api.fake_worker import Hand
from tests.api.jobs.test_events import later
from tests.api.requests import PNG, TOKEN, TOKENS, Calls, front_door, served
from tests.support.stack import SettingsFactory


@pytest.fixture
def asked(calls: Calls) -> list[str]:
    """What clients of the front door have asked for, and how it was answered."""
    seen: list[str] = []

    def note(response: Response) -> Response:
        path = request.full_path.rstrip("?").rpartition("/")[2]
        seen.append(f"{request.method} {path} {response.status_code}")
        return response

    calls.app.after_request(note)
    return seen


@pytest.fixture
def small(settings: SettingsFactory) -> Iterator[Client]:
    tiny = settings(tokens=TOKENS, rate_upload_per_min=3, tenant_images_per_day=2)
    with front_door(tiny) as calls, served(calls) as url, Client(url, TOKEN) as client:
        yield client


def watched(job: JobHandle, hand: Hand) -> set[int]:
    """How many of its pictures had succeeded whenever it had news, for which its worker waits."""
    worker, counts = later(0.5, hand, 1), set()
    for view in job.watch(timeout_s=30):
        counts.add(view.counts.succeeded)
        if view.counts.succeeded:
            hand.step()
    worker.join()
    return counts


def test_waiting_asks_no_more_often_than_the_status_changes(
    client: Client, hand: Hand, asked: list[str]
) -> None:
    job = client.submit([PNG] * 6)
    worker = later(0.4, hand, 3)
    assert job.wait(timeout_s=30).done
    worker.join()
    polls = [one for one in asked if "wait=" in one]
    assert 1 <= len(polls) <= 3


def test_waiting_goes_by_retry_after_if_the_server_does_not_wait(
    client: Client, calls: Calls, hand: Hand, asked: list[str]
) -> None:
    polls = calls.app.extensions["guanwu"].limits.polls
    while polls.acquire(blocking=False):
        pass
    job = client.submit([PNG])
    worker = later(0.7, hand, 2)
    started_s = time.monotonic()
    job.wait(timeout_s=30)
    worker.join()
    assert len([one for one in asked if "wait=" in one]) <= 2 + time.monotonic() - started_s


def test_watching_listens_to_events(client: Client, hand: Hand, asked: list[str]) -> None:
    job = client.submit([PNG] * 6)
    assert watched(job, hand) >= {0, 4, 6}
    assert [one for one in asked if one.startswith("GET")] == ["GET events 200"]


def test_watching_asks_for_changes_while_no_stream_is_free(
    client: Client, calls: Calls, hand: Hand, asked: list[str]
) -> None:
    streams = calls.app.extensions["guanwu"].limits.streams
    while streams.acquire(blocking=False):
        pass
    job = client.submit([PNG] * 6)
    assert watched(job, hand) >= {0, 4, 6}
    assert "GET events 503" in asked
    assert any("wait=" in one for one in asked)
    assert len(asked) < 20


def test_calls_beyond_the_limit_are_made_when_they_are_allowed(
    small: Client, settings: SettingsFactory
) -> None:
    for _ in range(3):
        small.upload(PNG)
    redis, prefix = Hand(settings()).redis, settings().redis_prefix
    for key in redis.scan_iter(f"{prefix}:rates:*"):
        redis.pexpire(key, 60_000 + 1000)  # the minute is over in a second
    started_s = time.monotonic()
    assert small.upload(PNG)
    assert time.monotonic() - started_s >= 0.5


def test_who_is_to_come_again_tomorrow_is_told_at_once(small: Client) -> None:
    started_s = time.monotonic()
    with pytest.raises(TooMany) as refused:
        small.submit([PNG] * 3)
    assert refused.value.code == "quota_exceeded"
    assert time.monotonic() - started_s < 10


def limited(code: str, retry_after_s: float | None = 0) -> TooMany:
    return TooMany(Problem(429, code, "", "", retry_after_s=retry_after_s))


def test_tries_are_counted_where_nobody_knows_whether_they_help() -> None:
    policy = RetryPolicy(retries=2, safe=True)
    away = ServerUnavailable(Problem(503, "x", "", "", retry_after_s=3))
    assert policy.pause_s(away) == 3
    assert 0.5 <= policy.pause_s(ServerUnreachable("gone")) <= 1
    with pytest.raises(ServerUnavailable):
        policy.pause_s(away)
    once = RetryPolicy(retries=2, safe=False)
    with pytest.raises(ServerUnreachable):
        once.pause_s(ServerUnreachable("gone"))
    assert RetryPolicy(retries=1, safe=False).pause_s(limited("queue_full", 2)) == 2
    many = RetryPolicy(retries=0, safe=False)
    assert [many.pause_s(limited("rate_limited", 1)) for _ in range(50)] == [1] * 50
    with pytest.raises(TooMany):
        many.pause_s(limited("queue_full"))
    with pytest.raises(RequestRefused):
        many.pause_s(RequestRefused(Problem(422, "x", "", "")))


def test_events_are_read_as_the_standard_says() -> None:
    job = '{"id":"job_x","status":"queued","done":false,"created_at":"2026-01-02T00:00:00Z",'
    rest = '"counts":{"total":1,"queued":1},"options":{},"of a newer server":1}'
    lines = ["retry: 2000", "", ": still there", "", "id: s1", "event:progress"]
    lines += [f"data: {job}", f"data: {rest}", ""]
    reader = EventReader()
    (event,) = [found for line in lines if (found := reader.feed(line))]
    assert (event.state, event.view.id) == ("s1", "job_x")
