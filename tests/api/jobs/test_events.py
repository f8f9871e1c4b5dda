"""Server-sent events of jobs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from api.jobs import events
from api.services.capacity import ALIVE, MAX_STREAMS
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, Answer, Calls, problem
from worker.contract.errors import RedisUnavailable


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PROGRESS_S", 0.05)


def told(answer: Answer) -> list[tuple[str, str, dict[str, Any]]]:
    """The events of a whole stream: id, name, job."""
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "event" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def stream(calls: Calls, job: str, last: str | None = None) -> Answer:
    headers = {} if last is None else {"Last_Event_ID": last}
    return calls.with_headers(**headers).get(f"/v1/jobs/{job}/events")


def later(pause_s: float, hand: Hand, steps: int) -> threading.Thread:
    def work() -> None:
        for _ in range(steps):
            time.sleep(pause_s)
            hand.step()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.usefixtures("quick")
def test_progress_is_told_until_the_job_is_done(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)
    worker = later(0.4, hand, 3)  # two chunks, then the end
    answer = stream(calls, job["id"])
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    found = told(answer)
    worker.join()
    assert answer.text.startswith("retry: ")
    assert [name for _, name, _ in found][-1] == "done"
    counts = [view["counts"]["succeeded"] for _, _, view in found]
    assert counts == sorted(counts)
    assert {0, 4, 6} <= set(counts)
    assert len({name for name, _, _ in found}) == len(found)
    assert found[-1][2] == calls.get(job["links"]["self"]).json
    assert job["links"]["events"] == f"/v1/jobs/{job['id']}/events"


@pytest.mark.usefixtures("quick")
def test_who_comes_again_is_told_only_what_is_new(calls: Calls, hand: Hand) -> None:
    job = calls.submit(6)["id"]
    first = Events(stream_of(calls, job))
    last_id = first.next()
    first.close()
    worker = later(0.3, hand, 3)
    found = told(stream(calls, job, last_id))
    worker.join()
    assert last_id not in [name for name, _, _ in found]
    done = found[-1][0]
    again = stream(calls, job, done)
    assert (again.status_code, again.data) == (204, b"")
    # Who has missed the end is told it.
    assert [name for _, name, _ in told(stream(calls, job, last_id))] == ["done"]


def stream_of(calls: Calls, job: str) -> Iterator[str]:
    services = calls.app.extensions["guanwu"]
    return events.follow(services, job, tenant="local", last_id="", alive=lambda: True)


class Events:
    """A stream that is read piece by piece."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces

    def next(self) -> str:
        """The id of the next event."""
        while not (piece := next(self._pieces)).startswith("id: "):
            pass
        return piece.splitlines()[0].removeprefix("id: ")

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]


def test_events_come_at_most_every_half_second(calls: Calls, hand: Hand) -> None:
    job = calls.submit(12)["id"]
    worker = later(0.05, hand, 4)
    started_s = time.monotonic()
    found = told(stream(calls, job))
    worker.join()
    assert len(found) <= 1 + (time.monotonic() - started_s) / 0.5


@pytest.mark.usefixtures("quick")
def test_silence_is_broken_by_heartbeats(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(events, "STREAM_S", 1.0)
    answer = stream(calls, calls.submit(1)["id"])
    assert 2 <= answer.text.count(": still there\n\n") <= 5
    assert [name for _, name, _ in told(answer)] == ["progress"]  # and the stream ends in time


@pytest.mark.usefixtures("quick")
def test_stream_outlives_a_redis_that_is_away_for_a_while(
    calls: Calls, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = calls.submit(1)["id"]
    records = calls.app.extensions["guanwu"].records
    read, failures = records.jobs.read, iter(range(4))

    def away_for_a_while(*args: Any) -> Any:
        if args[1] == job and next(failures, None) not in (None, 0):
            raise RedisUnavailable("away")
        return read(*args)

    monkeypatch.setattr(records.jobs, "read", away_for_a_while)
    worker = later(0.2, hand, 2)
    found = told(stream(calls, job))
    worker.join()
    assert found[-1][1] == "done"


@pytest.mark.usefixtures("quick")
def test_stream_ends_when_its_process_is_to_end(calls: Calls) -> None:
    calls.app.extensions[ALIVE] = lambda: False
    assert told(stream(calls, calls.submit(1)["id"])) == []


def test_streams_are_bounded_and_given_back(calls: Calls, hand: Hand) -> None:
    job = calls.submit(1)["id"]
    hand.work(job)
    streams = calls.app.extensions["guanwu"].limits.streams
    taken = 0
    while streams.acquire(blocking=False):
        taken += 1
    full = stream(calls, job)
    problem(full, 503, "streams_full")
    assert int(full.headers["Retry-After"]) >= 1
    streams.release()
    for _ in range(3):
        answer = stream(calls, job)
        assert [name for _, name, _ in told(answer)] == ["done"]
        answer.close()
    assert taken == MAX_STREAMS


def test_stream_of_an_unknown_or_foreign_job_is_404(calls: Calls) -> None:
    job = calls.submit(1)["id"]
    problem(stream(calls.with_token(OTHER_TOKEN), job), 404, "job_not_found")
    problem(stream(calls, "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"), 404, "job_not_found")
