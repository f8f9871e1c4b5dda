"""`GET /v1/workers`."""

from __future__ import annotations

import datetime as dt

from guanwu.wire.fleet import Pulse
from tests.api.fake_worker import Hand
from tests.api.requests import Calls, problem
from worker.contract.records.fleet import FleetStatus
from worker.contract.records.keys import RedisKeys
from worker.contract.repositories.api_keys import AccessKeys


def test_workers_are_told_with_what_there_is_to_do(calls: Calls, hand: Hand) -> None:
    calls.submit(20)
    pulses = FleetStatus(hand.redis, RedisKeys(hand.settings.redis_prefix))
    now = dt.datetime.now(dt.UTC)
    pulses.publish(Pulse(host="here", process="cpu", pid=7, at=now, seconds=10, images_per_s=3))
    fleet = calls.get("/v1/workers").json
    (process,) = fleet["processes"]
    assert (process["host"], process["process"], process["images_per_s"]) == ("here", "cpu", 3)
    assert fleet["pending"] == {"hi": 0, "bulk": 20}
    assert fleet["chunks"]["ready"] > 0
    assert (fleet["images_per_s"], fleet["eta_s"]) == (0, None)


def test_there_may_be_none(calls: Calls) -> None:
    assert calls.get("/v1/workers").json["processes"] == []


def test_numbers_of_all_tenants_take_the_scope_admin(calls: Calls, hand: Hand) -> None:
    access = AccessKeys(hand.redis, hand.store, hand.settings)
    key = access.create(tenant="local", name="", scopes=("read", "submit"))[1]
    problem(calls.with_token(key).get("/v1/workers"), 403, "forbidden")
