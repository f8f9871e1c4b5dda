"""Webhooks at the door: made, shown, rotated, tested, deleted; and whose they are."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from guanwu.wire.webhooks import Attempt
from tests.api.fake_worker import Hand
from tests.api.requests import OTHER_TOKEN, Calls, problem
from worker.contract.objects import keys
from worker.contract.records.deliveries import DeliveryQueue
from worker.contract.records.keys import RedisKeys
from worker.contract.repositories.api_keys import AccessKeys
from worker.contract.repositories.webhooks import MAX_WEBHOOKS

URL = "https://shop.example/hooks"


def made(calls: Calls, **more: Any) -> dict[str, Any]:
    answer = calls.post("/v1/webhooks", json={"url": URL, **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json
    assert answer.headers["Location"] == f"/v1/webhooks/{body['id']}"
    return body


def test_secret_is_shown_once(calls: Calls) -> None:
    webhook = made(calls, events=["job.failed", "job.succeeded", "job.failed"])
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert webhook["events"] == ["job.failed", "job.succeeded"]
    shown = calls.get(f"/v1/webhooks/{webhook['id']}")
    assert shown.json == webhook
    listed = calls.get("/v1/webhooks")
    assert listed.json == {"items": [webhook]}
    assert secret not in shown.text + listed.text


def test_webhooks_outlive_redis_and_stand_in_the_store(calls: Calls, hand: Hand) -> None:
    webhook = made(calls)
    assert hand.store.exists(keys.webhook("local", webhook["id"]))
    hand.redis.delete(RedisKeys(hand.settings.redis_prefix).webhooks("local"))
    assert [one["id"] for one in calls.get("/v1/webhooks").json["items"]] == [webhook["id"]]


def test_deleted_webhook_is_gone(calls: Calls) -> None:
    kept, path = made(calls), f"/v1/webhooks/{made(calls)['id']}"
    assert calls.delete(path).status_code == 204
    problem(calls.get(path), 404, "webhook_not_found")
    problem(calls.delete(path), 404, "webhook_not_found")
    assert [one["id"] for one in calls.get("/v1/webhooks").json["items"]] == [kept["id"]]


def test_webhook_of_another_tenant_is_404(calls: Calls) -> None:
    webhook = made(calls)
    other = calls.with_token(OTHER_TOKEN)
    assert other.get("/v1/webhooks").json == {"items": []}
    path = f"/v1/webhooks/{webhook['id']}"
    for answer in (
        other.get(path),
        other.delete(path),
        other.post(f"{path}/rotate"),
        other.post(f"{path}/test"),
        other.get(f"{path}/deliveries"),
    ):
        problem(answer, 404, "webhook_not_found")
    assert calls.get(path).json == {k: v for k, v in webhook.items() if k != "secret"}


@pytest.mark.parametrize("odd", ["..", "whk_1", "secrets"])
def test_id_that_is_none_is_404(door: Calls, odd: str) -> None:
    problem(door.get(f"/v1/webhooks/{odd}/deliveries"), 404, "webhook_not_found")
    problem(door.delete(f"/v1/webhooks/{odd}"), 404, "webhook_not_found")


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hooks",
        "https://127.0.0.1/hooks",
        "https://[::1]/hooks",
        "https://[::ffff:10.0.0.1]/hooks",
        "https://169.254.169.254/hooks",
        "https://user:password@shop.example/hooks",
        "https://shop.example:99999/hooks",
        "https://shop.example:-1/hooks",
        "https://xn--a/hooks",
    ],
)
def test_url_that_would_never_be_called_is_refused(door: Calls, url: str) -> None:
    body = problem(door.post("/v1/webhooks", json={"url": url}), 422, "address_forbidden")
    assert body["errors"][0]["field"] == "url"
    job = {"images": [{"data": "QQ=="}], "webhook": {"url": url}}
    body = problem(door.post("/v1/jobs", json=job), 422, "address_forbidden")
    assert body["errors"][0]["field"] == "webhook.url"


@pytest.mark.parametrize(
    "body", [{}, {"url": "shop.example"}, {"url": URL, "events": []}, {"url": URL, "events": ["x"]}]
)
def test_webhook_that_is_none_is_refused(door: Calls, body: dict[str, Any]) -> None:
    problem(door.post("/v1/webhooks", json=body), 422, "invalid_request")


def test_number_of_webhooks_is_bounded(calls: Calls) -> None:
    for _ in range(MAX_WEBHOOKS):
        made(calls)
    answer = calls.post("/v1/webhooks", json={"url": URL})
    assert str(MAX_WEBHOOKS) in problem(answer, 422, "too_many_webhooks")["detail"]


def test_rotation_answers_a_new_secret_and_until_when_the_old_one_signs(calls: Calls) -> None:
    webhook = made(calls)
    path = f"/v1/webhooks/{webhook['id']}"
    rotated = calls.post(f"{path}/rotate").json
    assert rotated["secret"] != webhook["secret"]
    (until,) = rotated["old_secrets_until"]
    left = dt.datetime.fromisoformat(until) - dt.datetime.now(dt.UTC)
    assert 86_000 < left.total_seconds() <= 86_400
    at_once = calls.post(f"{path}/rotate", json={"overlap_s": 0}).json
    assert at_once["old_secrets_until"] == []
    problem(calls.post(f"{path}/rotate", json={"overlap_s": -1}), 422, "invalid_request")


def test_secret_for_webhooks_of_jobs_stays_until_it_is_rotated(calls: Calls, hand: Hand) -> None:
    first = calls.get("/v1/webhook-secret").json["secret"]
    hand.redis.delete(RedisKeys(hand.settings.redis_prefix).webhook_secrets("local"))
    assert calls.get("/v1/webhook-secret").json["secret"] == first
    assert calls.with_token(OTHER_TOKEN).get("/v1/webhook-secret").json["secret"] != first
    rotated = calls.post("/v1/webhook-secret/rotate").json
    assert rotated["secret"] != first
    assert len(rotated["old_secrets_until"]) == 1
    hand.redis.delete(RedisKeys(hand.settings.redis_prefix).webhook_secrets("local"))
    assert calls.get("/v1/webhook-secret").json == rotated
    assert calls.get("/v1/webhooks").json == {"items": []}


def test_who_may_only_read_sees_no_secret_and_changes_nothing(calls: Calls, hand: Hand) -> None:
    path = f"/v1/webhooks/{made(calls)['id']}"
    access = AccessKeys(hand.redis, hand.store, hand.settings)
    reader = calls.with_token(access.create(tenant="local", name="", scopes=("read",))[1])
    assert reader.get(path).status_code == 200
    for answer in (
        reader.get("/v1/webhook-secret"),
        reader.post("/v1/webhooks", json={"url": URL}),
        reader.post(f"{path}/rotate"),
        reader.delete(path),
    ):
        problem(answer, 403, "forbidden")


def test_job_keeps_its_webhook(calls: Calls, hand: Hand) -> None:
    asked = {"url": URL, "events": ["job.failed"]}
    job = calls.submit(1, options={"webhook": asked})
    assert job["webhook"] == asked
    hand.forget(job["id"])
    assert calls.get(job["links"]["self"]).json["webhook"] == asked


def test_deliveries_come_in_pages_newest_first(calls: Calls, hand: Hand) -> None:
    webhook = made(calls)["id"]
    deliveries = DeliveryQueue(hand.redis, hand.settings)
    for number in range(1, 6):
        deliveries._note(webhook, attempt(number))
    path = f"/v1/webhooks/{webhook}/deliveries?limit=2"
    page, seen = calls.get(path).json, []
    while True:
        seen += [one["attempt"] for one in page["items"]]
        if page["next"] is None:
            break
        page = calls.get(f"{path}&after={page['next']}").json
    assert seen == [5, 4, 3, 2, 1]
    for odd in ("x", "1", "\uff11-0"):
        problem(calls.get(f"{path}&after={odd}"), 422, "invalid_request")


def attempt(number: int) -> Attempt:
    return Attempt(
        id="msg_1",
        at=dt.datetime.now(dt.UTC),
        event="job.succeeded",
        job="job_1",
        attempt=number,
        status=500,
        error="the receiver answered 500",
        duration_ms=3,
        next_try_at=None,
    )


def test_test_event_is_queued(calls: Calls, hand: Hand) -> None:
    webhook = made(calls)
    answer = calls.post(f"/v1/webhooks/{webhook['id']}/test")
    assert answer.status_code == 202
    (taken,) = DeliveryQueue(hand.redis, hand.settings).take(limit=5)
    assert taken.delivery.id == answer.json["id"]
    assert taken.delivery.body.startswith('{"type":"webhook.test"')
