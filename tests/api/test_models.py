"""`GET /v1/models`."""

from __future__ import annotations

import json

import pytest

from api import offer
from tests.api.calls import Calls
from tests.api.hand import CATALOG, Hand


def test_models_are_what_workers_published(calls: Calls, hand: Hand) -> None:
    hand.publish()
    body = calls.get("/v1/models").json
    assert body["models"][0]["id"] == "efficientnet-lite0"
    assert body["label_sets"][0]["size"] == 1000


def test_last_known_models_stay_when_workers_have_gone(
    calls: Calls, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offer, "FRESH_S", 0.0)
    assert calls.get("/v1/models").json["models"] == []
    hand.publish()
    known = calls.get("/v1/models").json
    hand.redis.delete(f"{hand.settings.redis_prefix}:catalog")
    assert calls.get("/v1/models").json == known
    hand.redis.set(f"{hand.settings.redis_prefix}:catalog", "{broken")
    assert calls.get("/v1/models").json == known


def test_catalogue_of_a_newer_worker_is_understood(calls: Calls, hand: Hand) -> None:
    newer = CATALOG.model_dump(mode="json") | {"moods": ["good"]}
    newer["models"][0]["colour"] = "blue"
    hand.redis.set(f"{hand.settings.redis_prefix}:catalog", json.dumps(newer))
    assert calls.get("/v1/models").json["models"][0]["id"] == "efficientnet-lite0"


def test_models_come_with_the_limits_of_this_server(limited: Calls) -> None:
    limits = limited.get("/v1/models").json["limits"]
    assert (limits["max_images_per_request"], limits["max_request_bytes"]) == (5, 8192)
