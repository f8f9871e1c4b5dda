"""`Prefer: wait=N`."""

from __future__ import annotations

import base64
import time

import pytest
from flask import Flask, request

from api.jobs.polling import MAX_WAIT_S
from api.submissions.prefer_wait import wait_s_of
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, TOKENS, Calls, front_door
from tests.support.stack import SettingsFactory


def test_small_job_that_is_done_in_time_is_200_with_its_results(
    calls: Calls, at_work: Hand
) -> None:
    answer = calls.with_headers(Prefer="wait=20").submit_form([("a.png", PNG), ("b.png", b"")])
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert "Retry-After" not in answer.headers
    job = answer.json
    assert (job["done"], job["status"]) == (True, "partially_succeeded")
    assert answer.headers["Location"] == job["links"]["self"]
    results = job.pop("results")
    assert [item["status"] for item in results] == ["succeeded", "failed"]
    assert results[0]["explanations"][0]["artifacts"]["overlay"]["url"].startswith("http")
    assert job == calls.get(answer.headers["Location"]).json


def test_job_that_is_not_done_in_time_is_202(calls: Calls) -> None:
    started_s = time.monotonic()
    answer = calls.with_headers(Prefer="wait=1").submit_form()
    assert 1 <= time.monotonic() - started_s < 5
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "results" not in answer.json


def test_nobody_waits_for_large_jobs_nor_for_sources(calls: Calls, hand: Hand) -> None:
    waiting = calls.with_headers(Prefer="wait=20")
    upload = calls.post("/v1/uploads", json={"bytes": 3}).json["id"]
    hand.store.put(f"t/local/uploads/{upload}", b"{}\n", content_type="application/x-ndjson")
    started_s = time.monotonic()
    large = waiting.submit_form([(f"{n}.png", PNG) for n in range(17)])
    source = waiting.post("/v1/jobs", json={"manifest": {"upload": upload}})
    assert time.monotonic() - started_s < 10
    for answer in (large, source):
        assert answer.status_code == 202
        assert "Preference-Applied" not in answer.headers


def test_those_over_the_bound_do_not_wait(settings: SettingsFactory) -> None:
    with front_door(settings(tokens=TOKENS)) as calls:
        waiters = calls.app.extensions["guanwu"].limits.submissions
        while waiters.acquire(blocking=False):
            pass
        answer = calls.with_headers(Prefer="wait=20").submit_form()
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_replay_waits_too(calls: Calls, at_work: Hand) -> None:
    body = {"images": [{"data": base64.b64encode(PNG).decode()}]}
    keyed = calls.with_headers(Idempotency_Key="k")
    first = keyed.post("/v1/jobs", json=body)
    again = keyed.post("/v1/jobs", json=body, headers={"Prefer": "wait=20"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("given", "wait_s"),
    [
        ("wait=5", 5),
        ("respond-async, Wait=7", 7),
        ('wait = "8"; q=1', 8),
        ("wait=0", 0),
        ("wait=86400", MAX_WAIT_S),
        ("wait=5, wait=9", 5),
        ("wait", None),
        ("wait=soon", None),
        ("wait=-1", None),
        ("wait=" + "9" * 5000, None),
        ("return=minimal", None),
        ("", None),
    ],
)
def test_preference_is_read_as_the_rfc_says(given: str, wait_s: int | None) -> None:
    with Flask("x").test_request_context(headers={"Prefer": given}):
        assert wait_s_of(request) == wait_s
