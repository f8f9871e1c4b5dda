from __future__ import annotations

import time

import pytest
import redis

from guanwu.wire.base import new_id
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.contract.errors import RedisUnavailable
from worker.contract.lanes import QueueName
from worker.contract.records.connection import connect
from worker.contract.records.job_record import Sweep
from worker.contract.records.keys import RedisKeys
from worker.contract.records.queue_load import QueueLoad
from worker.contract.records.records import Records
from worker.contract.records.script import LuaScript
from worker.contract.settings.model import Settings
from worker.coordination.sweeper import MAX_WAKE_UPS, Sweeper, missing_wake_ups

GRACE_S = 0.3


class ShakyLoad(QueueLoad):
    def __init__(self, records: Shaky, script: LuaScript, settings: Settings) -> None:
        super().__init__(script, settings)
        self._records = records

    def sweep(self, *, look_only: bool = False) -> Sweep:
        self._records.ping()
        return super().sweep(look_only=look_only)


class Shaky(Records):
    """Real records; `away` cuts the sweeper off."""

    away = False

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        super().__init__(client, settings)
        self.queue = ShakyLoad(self, LuaScript(client, RedisKeys(settings.redis_prefix)), settings)

    def ping(self) -> None:
        if self.away:
            raise RedisUnavailable("away")
        super().ping()


@pytest.fixture
def records(settings: SettingsFactory) -> Shaky:
    short = settings(lease_s=0.2)
    records = Shaky(connect(short), short)
    records.jobs.create(new_record(new_id("job"), total=2, chunk_images=1))
    return records


@pytest.mark.parametrize(
    ("ready", "queued", "missing"),
    [(0, 0, 0), (3, 3, 0), (3, 1, 2), (1, 9, 0), (10_000, 0, MAX_WAKE_UPS), (10_000, 9, 0)],
)
def test_as_many_wake_ups_as_ready_chunks_but_only_a_few_at_a_time(
    ready: int, queued: int, missing: int
) -> None:
    assert missing_wake_ups(ready=ready, queued=queued) == missing


def test_leases_that_ran_out_while_redis_was_away_get_time_for_a_heartbeat(
    records: Shaky,
) -> None:
    sent: list[tuple[QueueName, int]] = []
    sweeper = Sweeper(records, lambda lane, n: sent.append((lane, n)), sweep_s=9, grace_s=GRACE_S)
    claim = records.claims.claim()
    assert claim is not None
    records.away = True
    sweeper.step()
    time.sleep(records.claims.lease_s * 1.5)
    records.away = False
    sweeper.step()
    assert sent == [("bulk", 1)]  # wake-ups that were lost are sent at once
    records.claims.heartbeat(claim)
    time.sleep(GRACE_S)
    records.claims.heartbeat(claim)
    sweeper.step()
    assert records.claims.heartbeat(claim) is None


def test_a_lease_that_nobody_renews_is_taken_back_after_the_grace(records: Shaky) -> None:
    sweeper = Sweeper(records, lambda lane, n: None, sweep_s=9, grace_s=GRACE_S)
    assert records.claims.claim() is not None
    records.away = True
    sweeper.step()
    records.away = False
    sweeper.step()
    time.sleep(GRACE_S * 1.1)
    sweeper.step()
    assert records.queue.ready(["bulk"]) == 2
