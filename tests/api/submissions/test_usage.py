"""Quotas in images, as callers meet them, and `GET /v1/usage`."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator

import pytest

from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Calls, front_door, problem
from tests.support.stack import SettingsFactory
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.repositories.api_keys import AccessKeys


@pytest.fixture
def own(settings: SettingsFactory) -> Iterator[Calls]:
    limited = settings(tokens=TOKENS, tenant_images_per_day=10, tenant_images_per_month=12)
    with front_door(limited) as calls:
        yield calls


def files(count: int) -> list[tuple[str, bytes]]:
    return [(f"{n}.png", PNG) for n in range(count)]


def used(calls: Calls) -> tuple[int, int]:
    images = calls.get("/v1/usage").json["images"]
    return images["day"]["used"], images["month"]["used"]


def test_usage_is_told_with_what_is_left(own: Calls) -> None:
    own.submit(4)
    usage = own.get("/v1/usage").json
    assert (usage["tenant"], usage["key"]) == ("local", None)
    day, month = usage["images"]["day"], usage["images"]["month"]
    assert (day["used"], day["limit"], day["left"]) == (4, 10, 6)
    assert (month["used"], month["limit"], month["left"]) == (4, 12, 8)
    now = dt.datetime.now(dt.UTC)
    for told in (day, month):
        assert dt.datetime.fromisoformat(told["resets_at"]) > now
    assert used(own.with_token(OTHER_TOKEN)) == (0, 0)


def test_without_quotas_images_are_counted_all_the_same(calls: Calls) -> None:
    calls.submit(3)
    day = calls.get("/v1/usage").json["images"]["day"]
    assert (day["used"], day["limit"], day["left"]) == (3, None, None)


def test_more_than_is_left_is_429_with_the_time_to_come_again(own: Calls) -> None:
    own.submit(8)
    refused = own.submit_form(files(3))
    body = problem(refused, 429, "quota_exceeded")
    assert body["limits"] == {"images_per_day": 10}
    assert "2 are left" in body["detail"]
    resets_at = own.get("/v1/usage").json["images"]["day"]["resets_at"]
    assert resets_at[:19] in body["detail"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    assert used(own) == (8, 8)
    assert len(own.get("/v1/jobs").json["items"]) == 1
    own.submit(2)
    assert used(own) == (10, 10)
    assert own.with_token(OTHER_TOKEN).submit_form(files(10)).status_code == 202


def test_refused_requests_and_replays_are_not_counted(own: Calls) -> None:
    problem(own.submit_form(options={"options": {"top_k": 0}}), 422, "invalid_options")
    keyed = own.with_headers(Idempotency_Key="once")
    body = {"images": [{"data": base64.b64encode(PNG).decode()}] * 6}
    first, again = (keyed.post("/v1/jobs", json=body).json["id"] for _ in range(2))
    assert first == again
    assert used(own) == (6, 6)
    problem(own.submit_form(files(5)), 429, "quota_exceeded")
    refused = own.with_headers(Idempotency_Key="free-again")
    problem(refused.post("/v1/jobs", json=body), 429, "quota_exceeded")
    body["images"].pop()
    body["images"].pop()
    assert refused.post("/v1/jobs", json=body).status_code == 202


def test_retried_images_are_not_counted_again(own: Calls, hand: Hand) -> None:
    hand.failing = {0}
    job = own.submit(2)["id"]
    hand.work(job)
    assert own.post(f"/v1/jobs/{job}/retry").status_code == 202
    assert used(own) == (2, 2)


def test_source_is_counted_when_it_is_read(own: Calls, hand: Hand) -> None:
    line = b'{"image": {"s3": "s3://b/1.jpg"}}\n'
    upload = own.post("/v1/uploads", json={"bytes": len(line) * 7}).json["id"]
    hand.store.put(f"t/local/uploads/{upload}", line * 7, content_type="application/x-ndjson")
    manifest = {"manifest": {"upload": upload}}
    assert own.post("/v1/jobs", json=manifest).status_code == 202
    assert used(own) == (0, 0)
    hand.step()
    assert used(own) == (7, 7)
    own.submit(3)
    problem(own.post("/v1/jobs", json=manifest), 429, "quota_exceeded")


def test_key_with_a_quota_of_its_own_has_its_own_account(
    own: Calls, settings: SettingsFactory
) -> None:
    configured = settings()
    access = AccessKeys(connect(configured), ObjectStore(configured), configured)
    key, token = access.create(
        tenant="local", name="", scopes=("submit", "read"), images_per_day=2, images_per_month=30
    )
    caller = own.with_token(token)
    own.submit(10)
    caller.submit(2)
    body = problem(caller.submit_form(), 429, "quota_exceeded")
    assert body["limits"] == {"images_per_day": 2}
    assert caller.get("/v1/usage").json["key"] == key.id
    assert (used(caller), used(own)) == ((2, 2), (10, 10))
