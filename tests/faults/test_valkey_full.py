"""14. Valkey is full (maxmemory, noeviction): the door says so, and nothing is lost."""

from __future__ import annotations

import time

import redis

from tests.api.requests import problem
from tests.faults.conftest import MakeScene
from tests.faults.invariants import expect_settled
from tests.faults.scale import scaled

IMAGES = scaled(small=60, full=1000)
FULL_S = 2.5  # longer than two leases


def fill(client: redis.Redis) -> None:
    """From here on Valkey holds more than it may."""
    client.config_set("maxmemory", 2**20)
    assert client.info("memory")["used_memory"] > 2**20


def test_a_full_valkey_pauses_the_work_and_loses_nothing(scene: MakeScene) -> None:
    own = scene(chunk_images=2)
    job = own.submit(range(IMAGES))
    worker = own.start_worker(batch_ms=60)
    own.wait_until_ended(job, IMAGES // 3)
    with own.stack.valkey.client() as client:
        fill(client)
        problem(own.try_submit(range(3)), 503, "redis_unavailable")
        time.sleep(FULL_S)
        problem(own.try_submit(range(3)), 503, "redis_unavailable")
        client.config_set("maxmemory", 0)
    expect_settled(own, job, range(IMAGES))
    expect_settled(own, own.submit(range(3)), range(3))
    assert worker.alive
