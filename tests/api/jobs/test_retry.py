"""Retrying, cancelling and restoring jobs."""

from __future__ import annotations

from typing import Any

import pytest

from api.jobs import wakeups
from guanwu.wire.jobs import Job
from guanwu.wire.statuses import JobStatus
from tests.api.fake_worker import Hand
from tests.api.requests import Calls, problem
from worker.contract.objects import keys


def failed_job(calls: Calls, hand: Hand, count: int, failing: set[int]) -> dict[str, Any]:
    job = calls.submit(count)
    hand.failing = failing
    hand.work(job["id"])
    hand.failing = set()
    return job


def stored(hand: Hand, job: dict[str, Any]) -> Job:
    return Job.model_validate_json(hand.store.get(keys.job_record("local", job["id"])))


def test_retry_runs_the_failed_items_alone(calls: Calls, hand: Hand) -> None:
    job = failed_job(calls, hand, 10, {1, 2, 9})
    answer = calls.post(job["links"]["retry"])
    assert answer.status_code == 202, answer.text
    again = answer.json
    assert (again["status"], again["done"], again["finished_at"]) == ("queued", False, None)
    assert (again["counts"]["queued"], again["counts"]["succeeded"]) == (3, 7)
    assert (stored(hand, job).status, stored(hand, job).expires_at) == (JobStatus.QUEUED, None)
    first, second = hand.claim(), hand.claim()
    assert [(c.action, c.number, c.items) for c in (first, second)] == [
        ("retry", 0, 2),
        ("retry", 2, 1),
    ]
    hand.finish(first)
    hand.finish(second)
    hand.work(job["id"])
    done = calls.get(job["links"]["self"]).json
    assert (done["status"], done["counts"]["succeeded"]) == ("succeeded", 10)
    assert stored(hand, job).done


def test_a_job_that_only_the_store_knows_is_retried(calls: Calls, hand: Hand) -> None:
    job = failed_job(calls, hand, 10, {1, 2, 9})
    hand.forget(job["id"])
    assert calls.post(job["links"]["retry"]).json["counts"]["queued"] == 3
    assert hand.claim().items == 2
    assert hand.claim().items == 1


def test_a_cancelled_job_is_retried_with_what_no_worker_had_begun(calls: Calls, hand: Hand) -> None:
    job = calls.submit(300)  # more chunks than the window holds
    hand.finish_chunk()
    calls.post(job["links"]["cancel"])
    hand.work(job["id"])
    again = calls.post(job["links"]["retry"]).json
    assert (again["counts"]["queued"], again["counts"]["succeeded"]) == (296, 4)
    hand.work(job["id"])
    assert calls.get(job["links"]["self"]).json["counts"]["succeeded"] == 300


def test_retry_needs_a_job_that_is_done_and_did_not_succeed(calls: Calls, hand: Hand) -> None:
    job = calls.submit(2)
    problem(calls.post(job["links"]["retry"]), 409, "job_unfinished")
    hand.work(job["id"])
    problem(calls.post(job["links"]["retry"]), 409, "nothing_to_retry")
    problem(calls.post("/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/retry"), 404, "job_not_found")


def test_a_retry_that_redis_forgets_goes_on(calls: Calls, hand: Hand) -> None:
    job = failed_job(calls, hand, 10, {1, 2, 9})
    calls.post(job["links"]["retry"])
    hand.forget(job["id"])
    healed = calls.get(job["links"]["self"]).json
    assert (healed["status"], healed["counts"]["queued"]) == ("queued", 3)
    hand.work(job["id"])
    assert calls.get(job["links"]["self"]).json["counts"]["succeeded"] == 10


def test_a_job_that_redis_lost_is_restored_by_who_asks_for_it(calls: Calls, hand: Hand) -> None:
    job = calls.submit(10)
    hand.finish_chunk()
    lose_all(hand)
    seen = calls.get(job["links"]["self"]).json
    assert (seen["status"], seen["counts"]["queued"]) == ("queued", 6)
    assert seen["counts"]["succeeded"] == 4
    assert seen["expires_at"] == job["expires_at"]
    hand.work(job["id"])
    assert calls.get(job["links"]["self"]).json["counts"]["succeeded"] == 10


def lose_all(hand: Hand) -> None:
    for key in hand.redis.scan_iter(match=f"{hand.settings.redis_prefix}*"):
        hand.redis.delete(key)


def test_a_cancellation_survives_redis(calls: Calls, hand: Hand) -> None:
    job = calls.submit(10)
    calls.post(job["links"]["cancel"])
    lose_all(hand)
    assert calls.get(job["links"]["self"]).json["status"] == "cancelling"
    hand.work(job["id"])
    assert calls.get(job["links"]["self"]).json["counts"]["cancelled"] == 10


def test_a_job_whose_files_have_gone_half_way_is_still_shown(
    calls: Calls, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = calls.submit(10)
    monkeypatch.setattr(wakeups, "WAKE_UPS", 1)
    lose_all(hand)
    hand.records.turns.take(f"restore:{job['id']}", every_s=60)  # somebody else restores it
    seen = calls.get(job["links"]["self"]).json
    assert (seen["id"], seen["status"]) == (job["id"], "queued")
