"""`GET /v1/jobs/{id}`: long polls, ETag and when to come again."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.jobs.polling import pause_s
from api.services.capacity import ALIVE, MAX_POLLS
from guanwu.wire.jobs import Job
from tests.api.fake_worker import Hand
from tests.api.jobs.test_events import later
from tests.api.requests import Answer, Calls, problem
from worker.contract.errors import RedisUnavailable

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def poll(calls: Calls, job: str, *, wait: int | None = None, known: str = "") -> Answer:
    own = calls.with_headers(If_None_Match=known) if known else calls
    return own.get(f"/v1/jobs/{job}" + (f"?wait={wait}" if wait is not None else ""))


def timed(calls: Calls, job: str, **options: Any) -> tuple[Answer, float]:
    started_s = time.monotonic()
    return poll(calls, job, **options), time.monotonic() - started_s


def test_long_poll_is_answered_when_the_status_changes(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)["id"]
    worker = later(0.8, hand, 1)
    running, took_s = timed(calls, job, wait=20)
    worker.join()
    assert running.json["status"] == "running"
    assert 0.2 < took_s < 15
    worker = later(0.2, hand, 2)  # the other chunk, then the end
    done = poll(calls, job, wait=20)
    worker.join()
    assert (done.json["status"], done.json["done"]) == ("succeeded", True)
    assert "Retry-After" not in done.headers
    again, took_s = timed(calls, job, wait=20)
    assert (again.json, took_s < 5) == (done.json, True)


def test_long_poll_without_news_is_answered_in_time(calls: Calls) -> None:
    job = calls.submit(1)["id"]
    answer, took_s = timed(calls, job, wait=1)
    assert 1 <= took_s < 5
    assert (answer.status_code, answer.json["status"]) == (200, "queued")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("wait", ["-1", "31", "soon", ""])
def test_wait_out_of_bounds_is_refused(calls: Calls, wait: str) -> None:
    job = calls.submit(1)["id"]
    body = problem(calls.get(f"/v1/jobs/{job}?wait={wait}"), 422, "invalid_request")
    assert body["errors"][0]["field"] == "wait"


def test_job_in_the_state_that_is_known_is_304(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)["id"]
    first = poll(calls, job)
    etag = first.headers["ETag"]
    assert etag.startswith('W/"')
    same = poll(calls, job, known=f'"other", {etag}')
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    assert int(same.headers["Retry-After"]) >= 1
    hand.finish_chunk()
    progress = poll(calls, job, known=etag)
    assert (progress.status_code, progress.json["counts"]["succeeded"]) == (200, 4)
    assert progress.headers["ETag"] != etag
    hand.work(job)
    done = poll(calls, job, known=progress.headers["ETag"])
    assert done.json["done"] is True
    ended = poll(calls, job, known=done.headers["ETag"], wait=20)
    assert (ended.status_code, "Retry-After" in ended.headers) == (304, False)
    events = calls.get(f"/v1/jobs/{job}/events").text
    assert f'W/"{events.split("id: ")[1].split()[0]}"' == done.headers["ETag"]
    hand.forget(job)  # from S3 it is the same
    assert poll(calls, job, known=done.headers["ETag"]).status_code == 304


def test_long_poll_of_who_knows_a_state_tells_progress(calls: Calls, hand: Hand) -> None:
    job = calls.submit(12)["id"]
    hand.finish_chunk()
    etag = poll(calls, job).headers["ETag"]
    worker = later(0.8, hand, 1)
    answer, took_s = timed(calls, job, wait=20, known=etag)
    assert 0.2 < took_s < 15
    while answer.json["counts"]["succeeded"] < 8:  # its worker may have but begun
        answer = poll(calls, job, wait=20, known=answer.headers["ETag"])
        assert (answer.status_code, answer.json["status"]) == (200, "running")
    worker.join()
    stale, took_s = timed(calls, job, wait=20, known=etag)
    assert (stale.status_code, took_s < 5) == (200, True)
    same, took_s = timed(calls, job, wait=1, known=answer.headers["ETag"])
    assert (same.status_code, took_s >= 1) == (304, True)


def test_those_over_the_bound_are_answered_at_once(calls: Calls) -> None:
    job, polls = calls.submit(1)["id"], calls.app.extensions["guanwu"].limits.polls
    taken = 0
    while polls.acquire(blocking=False):
        taken += 1
    assert taken == MAX_POLLS
    answer, took_s = timed(calls, job, wait=20)
    assert (answer.status_code, took_s < 5) == (200, True)
    polls.release()
    assert timed(calls, job, wait=1)[1] >= 1
    assert polls.acquire(blocking=False)  # it was given back


def test_long_poll_ends_when_its_process_is_to_end(calls: Calls) -> None:
    calls.app.extensions[ALIVE] = lambda: False
    assert timed(calls, calls.submit(1)["id"], wait=20)[1] < 5


def test_redis_that_goes_away_ends_the_wait(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    job, records = calls.submit(1)["id"], calls.app.extensions["guanwu"].records
    before = iter(range(3))

    def leaving(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any) -> Any:
            if next(before, None) is None:
                raise RedisUnavailable("away")
            return ask(*args)

        return asked

    monkeypatch.setattr(records.jobs, "read", leaving(records.jobs.read))
    monkeypatch.setattr(records.jobs, "look", leaving(records.jobs.look))
    answer, took_s = timed(calls, job, wait=20)
    problem(answer, 503, "redis_unavailable")
    assert took_s < 5


def test_state_of_a_foreign_job_cannot_be_asked_for(calls: Calls) -> None:
    job = calls.submit(1)["id"]
    etag = poll(calls, job).headers["ETag"]
    stranger = calls.with_token("token-of-somebody-else")
    problem(poll(stranger, job, known=etag, wait=5), 404, "job_not_found")


@pytest.mark.parametrize(
    ("eta_s", "age_s", "pause"),
    [
        (None, 0.0, 1),
        (None, 45.0, 4),
        (None, 86_400.0, 10),
        (0.0, 86_400.0, 1),
        (3.0, 0.0, 1),
        (60.0, 0.0, 15),
        (86_400.0, 0.0, 30),
    ],
)
def test_pause_grows_with_what_is_left(eta_s: float | None, age_s: float, pause: int) -> None:
    job = Job.model_validate(
        {
            "id": "job_x",
            "status": "queued",
            "done": False,
            "created_at": NOW - dt.timedelta(seconds=age_s),
            "counts": {"total": 1, "queued": 1},
            "eta_s": eta_s,
            "options": {},
        }
    )
    assert pause_s(job, now=NOW) == pause
