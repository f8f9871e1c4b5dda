from __future__ import annotations

import time

import pytest

from guanwu.wire.base import new_id
from guanwu.wire.options import Options
from tests.support.stack import SettingsFactory
from worker.contract.errors import RedisUnavailable
from worker.contract.lanes import QueueName
from worker.contract.records.connection import connect
from worker.contract.records.job_records import JobRecords
from worker.coordination.sweeper import MAX_WAKE_UPS, Sweeper, missing_wake_ups

GRACE_S = 0.3


class Shaky(JobRecords):
    """Real records; `away` cuts them off."""

    away = False

    def _call(self, command: str, *args: object) -> object:
        self.ping()
        return super()._call(command, *args)

    def ping(self) -> None:
        if self.away:
            raise RedisUnavailable("away")
        super().ping()


@pytest.fixture
def records(settings: SettingsFactory) -> Shaky:
    short = settings(lease_s=0.2)
    records = Shaky(connect(short), short)
    records.create(
        new_id("job"),
        tenant="one",
        lane="bulk",
        total=2,
        chunk_images=1,
        options=Options(),
        metadata={},
    )
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
    claim = records.claim()
    assert claim is not None
    records.away = True
    sweeper.round()
    time.sleep(records.lease_s * 1.5)
    records.away = False
    sweeper.round()
    assert sent == [("bulk", 1)]  # wake-ups that were lost are sent at once
    records.heartbeat(claim)
    time.sleep(GRACE_S)
    records.heartbeat(claim)
    sweeper.round()
    assert records.heartbeat(claim) is None


def test_a_lease_that_nobody_renews_is_taken_back_after_the_grace(records: Shaky) -> None:
    sweeper = Sweeper(records, lambda lane, n: None, sweep_s=9, grace_s=GRACE_S)
    assert records.claim() is not None
    records.away = True
    sweeper.round()
    records.away = False
    sweeper.round()
    time.sleep(GRACE_S * 1.1)
    sweeper.round()
    assert records.ready(["bulk"]) == 2
