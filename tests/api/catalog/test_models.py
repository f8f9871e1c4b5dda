"""`GET /v1/models`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.services import catalog_cache
from guanwu.wire.catalog import Catalog, LabelSetEntry
from tests.api.fake_worker import CATALOG, Hand
from tests.api.requests import Calls, problem
from worker.contract.label_set import LabelSet
from worker.contract.records.keys import RedisKeys
from worker.inference.catalog_publisher import CatalogPublisher


def test_models_are_what_workers_published(calls: Calls, hand: Hand) -> None:
    hand.publish()
    body = calls.get("/v1/models").json
    assert body["models"][0]["id"] == "efficientnet-lite0"
    assert body["label_sets"][0]["size"] == 1000


def test_last_known_models_stay_when_workers_have_gone(
    calls: Calls, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_cache, "FRESH_S", 0.0)
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


class Offering:
    """What a worker offers that knows its labels."""

    labels = LabelSet("imagenet1k", zh=("虎斑猫", "火箭"), en=("tabby", "missile"))

    def catalog(self) -> Catalog:
        entry = LabelSetEntry(
            id=self.labels.id, size=2, languages=("zh", "en"), digest=self.labels.digest
        )
        return CATALOG.model_copy(update={"label_sets": (entry,)})

    def label_sets(self) -> list[LabelSet]:
        return [self.labels]


def test_labels_are_checked_against_those_that_workers_published(calls: Calls, hand: Hand) -> None:
    keys = RedisKeys(hand.settings.redis_prefix)
    publisher = CatalogPublisher(hand.redis, keys, Offering())
    publisher.publish()
    asked: dict[str, Any] = {"explain": [{"method": "cam", "target": {"label": "火剪"}}]}
    body = problem(calls.submit_form(options=asked), 422, "invalid_options")
    assert body["errors"][0]["field"] == "options.explain.0.target.label"
    assert "火箭 / missile (1)" in body["detail"]
    asked["explain"][0]["target"] = {"label": "火箭"}
    assert calls.submit_form(options=asked).status_code == 202
    name = keys.label_set(Offering.labels.digest)
    hand.redis.delete(name)
    publisher.publish()  # again where they are missing
    assert hand.redis.exists(name)


def test_labels_that_are_offered_no_more_are_forgotten(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_cache, "FRESH_S", 0.0)
    known = catalog_cache.CatalogCache(hand.redis, hand.settings)
    keys = RedisKeys(hand.settings.redis_prefix)
    for n in range(3):  # a model of one's own gets other labels
        changed = Offering()
        changed.labels = LabelSet("own", zh=("猫", f"狗{n}"), en=("cat", f"dog {n}"))
        CatalogPublisher(hand.redis, keys, changed).publish()
        assert known.find_label_set("own") == changed.labels
    assert set(known._label_sets) == {changed.labels.digest}
