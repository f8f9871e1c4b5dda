"""Calls a minute: counted by caller and kind, told in headers, refused with a remedy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from tests.api.requests import OTHER_TOKEN, PNG, TOKENS, Calls, front_door, problem
from tests.support.stack import SettingsFactory
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.repositories.api_keys import AccessKeys, Scope

TINY = {"rate_read_per_min": 5, "rate_submit_per_min": 3, "rate_upload_per_min": 4}


@pytest.fixture
def own(settings: SettingsFactory) -> Iterator[Calls]:
    with front_door(settings(tokens=TOKENS, **TINY)) as calls:
        yield calls


def reads(calls: Calls, count: int) -> list[int]:
    return [calls.get("/v1/jobs").status_code for _ in range(count)]


def test_calls_over_the_limit_are_429_and_say_when_to_come_again(own: Calls) -> None:
    left = []
    for _ in range(5):
        answer = own.get("/v1/jobs")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Limit"] == "5"
        assert 0 <= int(answer.headers["RateLimit-Reset"]) <= 60
        left.append(int(answer.headers["RateLimit-Remaining"]))
    assert left == [4, 3, 2, 1, 0]
    refused = own.get("/v1/jobs")
    body = problem(refused, 429, "rate_limited")
    assert body["limits"] == {"rate_read_per_min": 5}
    assert "GUANWU_RATE_READ_PER_MIN" in body["detail"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Remaining"] == "0"


def test_kinds_of_calls_are_counted_apart(own: Calls) -> None:
    assert [own.submit_form().status_code for _ in range(4)] == [202] * 3 + [429]
    assert [own.post("/v1/uploads", json={"bytes": 9}).status_code for _ in range(5)] == [
        201
    ] * 4 + [429]
    assert reads(own, 6) == [200] * 5 + [429]
    job = own.submit_form().json
    assert job["code"] == "rate_limited"
    assert own.post("/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/cancel").status_code == 429


def test_callers_are_counted_apart_by_key_not_by_address(
    own: Calls, settings: SettingsFactory
) -> None:
    configured = settings(tokens=TOKENS)
    access = AccessKeys(connect(configured), ObjectStore(configured), configured)
    scopes: tuple[Scope, ...] = ("read",)
    tokens = [access.create(tenant="local", name="", scopes=scopes)[1] for _ in range(2)]
    for caller in (own, own.with_token(OTHER_TOKEN), *map(own.with_token, tokens)):
        forwarded = caller.with_headers(X_Forwarded_For="203.0.113.7")
        assert reads(forwarded, 6) == [200] * 5 + [429]


def test_who_is_not_known_is_not_counted(own: Calls) -> None:
    answers = [own.with_token("a-token-nobody-knows").get("/v1/jobs") for _ in range(7)]
    assert {answer.status_code for answer in answers} == {401}
    assert "RateLimit-Limit" not in answers[0].headers


def test_health_metrics_and_documents_are_exempt(own: Calls) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        for caller in (own, own.with_token(None)):
            for _ in range(7):
                answer = caller.get(path)
                assert (answer.status_code, "RateLimit-Limit" in answer.headers) == (200, False)


def test_body_of_a_call_too_many_is_not_read(own: Calls) -> None:
    for _ in range(3):
        own.submit_form()
    refused = own.submit_form([("big.png", PNG * 1_000_000)])
    problem(refused, 429, "rate_limited")


def test_limits_left_empty_are_none(settings: SettingsFactory) -> None:
    unlimited = settings(tokens=TOKENS, rate_read_per_min="")
    with front_door(unlimited) as calls:
        answer = calls.get("/v1/jobs")
    assert (answer.status_code, "RateLimit-Limit" in answer.headers) == (200, False)


def test_processes_count_together_under_the_prefix(
    own: Calls, settings: SettingsFactory, redis_prefix: str
) -> None:
    with front_door(settings(tokens=TOKENS, **TINY)) as other:
        assert reads(own, 3) + reads(other, 3) == [200] * 5 + [429]
    client = connect(settings())
    counted = list(client.scan_iter(f"{redis_prefix}:rates:*"))
    assert counted
    assert all(0 < client.ttl(key) <= 120 for key in counted)


def test_limit_is_allowed_again_after_a_minute(own: Calls, settings: SettingsFactory) -> None:
    assert reads(own, 6)[-1] == 429
    client = connect(settings())
    for key in client.scan_iter(f"{settings().redis_prefix}:rates:*"):
        client.pexpire(key, 1)  # as if the time had come
    time.sleep(0.05)
    assert reads(own, 1) == [200]


def test_while_redis_is_away_each_process_counts_by_itself(
    own: Calls, settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = redis.Redis.execute_command

    def refused(self: redis.Redis, *args: object, **options: object) -> object:
        raise redis.ConnectionError("away")

    # What does not need Redis is served, up to the limit.
    monkeypatch.setattr(redis.Redis, "execute_command", refused)
    answers = [own.post("/v1/uploads", json={"bytes": 9}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 4 + [429]
    assert answers[0].headers["RateLimit-Limit"] == "4"
    monkeypatch.setattr(redis.Redis, "execute_command", execute)
    time.sleep(2.1)  # it is looked at again after a while
    assert own.post("/v1/uploads", json={"bytes": 9}).status_code == 201
