"""`POST /v1/jobs/{id}/items/{index}/explain`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, Calls, problem
from worker.contract.objects import keys
from worker.contract.objects.store import split_address

WHY = {"explain": [{"method": "cam", "target": {"label": "虎斑猫", "against": "火箭"}}]}


@pytest.fixture
def job(calls: Calls, hand: Hand) -> str:
    """A finished job of two pictures."""
    hand.publish()
    job: str = calls.submit(2)["id"]
    hand.work(job)
    return job


def path_of(job: str, index: int = 1) -> str:
    return f"/v1/jobs/{job}/items/{index}/explain"


def source_of(hand: Hand) -> str:
    """Where the next job's only picture lies."""
    (item,) = hand.manifest(hand.claim(), 0)
    assert item.source is not None
    return item.source


def test_a_picture_is_asked_about_again_as_a_job_of_its_own(
    calls: Calls, hand: Hand, job: str
) -> None:
    old = calls.get(f"/v1/jobs/{job}/items/1").json
    answer = calls.post(path_of(job), json=WHY)
    assert answer.status_code == 202
    asked: dict[str, Any] = answer.json
    assert answer.headers["Location"] == asked["links"]["self"]
    assert asked["counts"]["total"] == 1
    assert asked["options"]["explain"][0]["target"] == WHY["explain"][0]["target"]
    assert asked["metadata"] == {"explains": {"job": job, "index": 1}}
    hand.work(asked["id"])
    new = calls.get(f"/v1/jobs/{asked['id']}/items/0").json
    assert (new["image"], new["status"]) == (old["image"], "succeeded")


def test_the_picture_is_stored_again_so_that_retention_keeps_it(
    calls: Calls, hand: Hand, job: str
) -> None:
    sha256 = calls.get(f"/v1/jobs/{job}/items/1").json["image"]["sha256"]
    key = keys.input_key("local", sha256)
    (before,) = hand.store.entries(key)
    time.sleep(1.1)  # the store tells seconds
    assert calls.post(path_of(job), json=WHY).status_code == 202
    (after,) = hand.store.entries(key)
    assert after.modified_at > before.modified_at
    assert source_of(hand).endswith(key)


def test_sent_again_under_its_key_it_is_one_job(calls: Calls, job: str) -> None:
    named = {"Idempotency-Key": "k-1"}
    first, second = (calls.post(path_of(job), json=WHY, headers=named) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert second.headers["Idempotent-Replayed"] == "true"
    other = calls.post(path_of(job, 0), json=WHY, headers=named)
    problem(other, 422, "idempotency_key_reused")


def test_what_cannot_be_asked_is_refused(calls: Calls, hand: Hand, job: str) -> None:
    unknown = {"explain": [{"method": "rollout"}]}
    problem(calls.post(path_of(job), json=unknown), 422, "invalid_options")
    problem(calls.post(path_of(job, 2), json=WHY), 404, "item_not_found")
    foreign = {"Authorization": f"Bearer {OTHER_TOKEN}"}
    problem(calls.post(path_of(job), json=WHY, headers=foreign), 404, "job_not_found")
    problem(calls.post(path_of(job), data=b"{"), 400, "malformed_request")
    calls.post(path_of(job), json=WHY)
    hand.store.delete([split_address(source_of(hand))[1]])
    body = problem(calls.post(path_of(job), json=WHY), 422, "input_missing")
    assert "submit it once more" in body["detail"]
