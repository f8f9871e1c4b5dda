"""Requests that come twice."""

from __future__ import annotations

import base64
import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api.app import create_app
from api.services import idempotency_store
from api.submissions import accept
from api.submissions.inputs import store_inputs
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Answer, Calls, problem
from tests.support.stack import SettingsFactory
from worker.contract.errors import RedisUnavailable
from worker.contract.records.job_records import JobRecords
from worker.contract.repositories.manifests import read_shard

KEY = "a-key-of-the-test"


def body(text: bytes = PNG, **more: Any) -> dict[str, Any]:
    return {"images": [{"data": base64.b64encode(text).decode()}], **more}


def send(calls: Calls, key: str = KEY, **more: Any) -> Answer:
    return calls.post("/v1/jobs", json=body(**more), headers={"Idempotency-Key": key})


def job_ids(calls: Calls) -> list[str]:
    return [job["id"] for job in calls.get("/v1/jobs").json["items"]]


def test_same_request_gets_the_stored_answer_and_makes_no_second_job(
    calls: Calls, hand: Hand
) -> None:
    first = send(calls)
    hand.work(first.json["id"])
    again = send(calls)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert job_ids(calls) == [first.json["id"]]


def test_answers_say_when_the_key_expires(calls: Calls) -> None:
    answers = [send(calls), send(calls)]
    (stated,) = {answer.headers["Idempotency-Key-Expires"] for answer in answers}
    left = dt.datetime.fromisoformat(stated) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(hours=23, minutes=58) < left <= dt.timedelta(hours=24)


def test_key_that_expired_makes_a_new_job(calls: Calls, hand: Hand) -> None:
    first = send(calls)
    (mark,) = hand.redis.scan_iter(f"{hand.settings.redis_prefix}:idempotency:*")
    assert 86_390_000 < hand.redis.pttl(mark) <= 86_400_000
    hand.redis.pexpire(mark, 1)
    time.sleep(0.05)
    assert send(calls).json["id"] != first.json["id"]


def test_same_key_with_another_payload_is_422(calls: Calls) -> None:
    first = send(calls)
    answer = send(calls, text=PNG + b"other")
    assert "free again at" in problem(answer, 422, "idempotency_key_reused")["detail"]
    assert job_ids(calls) == [first.json["id"]]


def test_form_is_the_same_whatever_its_boundary_and_another_if_a_part_differs(
    calls: Calls,
) -> None:
    keyed = calls.with_headers(Idempotency_Key=KEY)
    first = keyed.submit_form([("a.png", PNG), ("b.png", PNG)])
    assert keyed.submit_form([("a.png", PNG), ("b.png", PNG)]).json == first.json
    for differing in (
        [("a.png", PNG)],
        [("b.png", PNG), ("a.png", PNG)],
        [("a.png", PNG), ("c.png", PNG)],
        [("a.png", PNG), ("b.png", PNG + b"x")],
    ):
        problem(keyed.submit_form(differing), 422, "idempotency_key_reused")
    changed = keyed.submit_form([("a.png", PNG), ("b.png", PNG)], options={"top_k": 2})
    problem(changed, 422, "idempotency_key_reused")


def test_form_with_a_key_is_stored_whole(calls: Calls, hand: Hand) -> None:
    keyed = calls.with_headers(Idempotency_Key=KEY).submit_form([("a.png", PNG)])
    plain = calls.submit_form([("a.png", PNG)])
    first, second = (read_shard(hand.store, "local", job.json["id"], 0) for job in (keyed, plain))
    assert first == second


def test_keys_of_tenants_do_not_meet(calls: Calls) -> None:
    first = send(calls)
    other = send(calls.with_token(OTHER_TOKEN), text=PNG + b"theirs")
    assert other.status_code == 202
    assert other.json["id"] != first.json["id"]


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "键"])
def test_key_that_is_none_is_422_and_points_at_the_header(door: Calls, key: str) -> None:
    answer = door.post(
        "/v1/jobs",
        json=body(),
        headers={"Idempotency-Key": key.encode().decode("latin-1")},
    )
    (where,) = problem(answer, 422, "invalid_request")["errors"]
    assert where["field"] == "Idempotency-Key"


def test_fifty_pairs_at_the_same_moment_make_fifty_jobs(settings: SettingsFactory) -> None:
    own = settings(tokens=TOKENS)
    apps = [create_app(own) for _ in range(2)]  # as two processes: they share Redis alone

    def one(n: int) -> TestResponse:
        headers = {"Authorization": "Bearer token-of-the-test", "Idempotency-Key": f"k{n // 2}"}
        return apps[n % 2].test_client().post("/v1/jobs", json=body(), headers=headers)

    with ThreadPoolExecutor(16) as callers:
        answers = list(callers.map(one, range(100)))
    records = apps[0].extensions["guanwu"].records
    made = set(records.jobs.recent("local", limit=200))
    assert len(made) == 50
    for pair in zip(answers[::2], answers[1::2], strict=True):
        accepted = {answer.get_json()["id"] for answer in pair if answer.status_code == 202}
        refused = [answer for answer in pair if answer.status_code != 202]
        assert len(accepted) == 1
        assert accepted < made
        for answer in refused:
            problem(answer, 409, "idempotency_in_flight")
            assert int(answer.headers["Retry-After"]) >= 1
    for app in apps:
        found = app.extensions["guanwu"]
        for pool in (found.pools.store, found.pools.probes, found.pools.restore):
            pool.shutdown()
        found.broker.close()


class Crash(BaseException):
    """The front door dies: nothing is tidied up."""


def end_lease(hand: Hand) -> None:
    """The time has come at which whoever holds the key must be dead."""
    (mark,) = hand.redis.scan_iter(f"{hand.settings.redis_prefix}:idempotency:*")
    hand.redis.hset(mark, "lease_ms", 0)


def test_crash_before_the_record_is_one_job_in_the_end(
    calls: Calls, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(JobRecords, "create", dies)
        with pytest.raises(Crash):
            send(calls)
    problem(send(calls), 409, "idempotency_in_flight")
    end_lease(hand)
    answer = send(calls)
    assert answer.status_code == 202
    assert "Idempotent-Replayed" not in answer.headers
    assert job_ids(calls) == [answer.json["id"]]
    assert list(hand.store.keys("t/local/jobs/")) == [f"t/local/jobs/{answer.json['id']}/job.json"]


@pytest.mark.parametrize("finished", [False, True])
def test_crash_after_the_record_is_the_job_that_was_recorded(
    calls: Calls, hand: Hand, monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(accept, "wake", dies)
        with pytest.raises(Crash):
            send(calls)
    (job,) = job_ids(calls)
    if finished:  # and Redis has forgotten the job since
        hand.work(job)
        hand.forget(job)
    end_lease(hand)
    answers = [send(calls), send(calls)]
    assert [answer.json["id"] for answer in answers] == [job, job]
    assert {answer.headers["Idempotent-Replayed"] for answer in answers} == {"true"}
    assert job_ids(calls) == [job]
    assert calls.get(f"/v1/jobs/{job}").json["done"] is finished


def dies(*_: Any, **__: Any) -> None:
    raise Crash


def test_answer_that_never_came_from_redis_makes_no_second_job(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = JobRecords.create

    def created_but_unheard(self: JobRecords, *args: Any, **named: Any) -> bool:
        create(self, *args, **named)
        raise RedisUnavailable("Redis does not answer; try again soon")

    with monkeypatch.context() as patch:
        patch.setattr(JobRecords, "create", created_but_unheard)
        problem(send(calls), 503, "redis_unavailable")
    again = send(calls)
    assert again.status_code == 202
    assert job_ids(calls) == [again.json["id"]]


def test_late_front_door_does_not_write_over_a_job_that_another_took_over(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_store, "LEASE_S", 0.3)
    answers: list[Any] = []

    def slow(*args: Any) -> Any:
        items = list(store_inputs(*args))
        if not answers:
            answers.append(None)
            time.sleep(0.4)
            answers.append(send(calls))
        return items

    monkeypatch.setattr(accept, "store_inputs", slow)
    problem(send(calls), 409, "idempotency_in_flight")
    assert answers[1].status_code == 202
    assert job_ids(calls) == [answers[1].json["id"]]


def test_a_request_with_slow_pictures_keeps_its_key(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_store, "LEASE_S", 0.6)
    monkeypatch.setattr(accept, "RENEW_EVERY_S", 0.1)
    answers: list[Any] = []

    def slow(*args: Any) -> Any:
        for item in store_inputs(*args):
            time.sleep(0.3)
            yield item
        answers.append(send(calls, images=body()["images"] * 4))

    monkeypatch.setattr(accept, "store_inputs", slow)
    first = send(calls, images=body()["images"] * 4)
    assert first.status_code == 202
    problem(answers[0], 409, "idempotency_in_flight")
    assert job_ids(calls) == [first.json["id"]]


def test_refused_request_leaves_its_key_free(calls: Calls, hand: Hand) -> None:
    hand.publish()
    problem(send(calls, options={"models": ["nobody"]}), 422, "unknown_model")
    assert send(calls).status_code == 202
