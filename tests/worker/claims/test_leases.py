from __future__ import annotations

import time

import pytest

from guanwu.wire.base import new_id
from guanwu.wire.options import Options
from tests.support.stack import SettingsFactory
from worker.claims.leases import Leases
from worker.contract.errors import LeaseLost
from worker.contract.records.connection import connect
from worker.contract.records.job_records import JobRecords

LEASE_S = 0.4
NEVER_S = 60.0


@pytest.fixture
def records(settings: SettingsFactory) -> JobRecords:
    short = settings(lease_s=LEASE_S)
    records = JobRecords(connect(short), short)
    records.create(
        new_id("job"),
        tenant="one",
        lane="bulk",
        total=1,
        chunk_images=1,
        options=Options(),
        metadata={},
    )
    return records


def test_heartbeats_keep_a_lease_alive(records: JobRecords) -> None:
    claim = records.claim()
    assert claim is not None
    leases = Leases(records, heartbeat_s=LEASE_S / 4)
    leases.start()
    with leases.hold(claim) as held:
        time.sleep(LEASE_S * 2)
        assert records.sweep().overdue == 0
        held.check()
    leases.stop()


def test_a_process_stopped_past_its_lease_hears_of_the_loss_before_it_writes(
    records: JobRecords,
) -> None:
    claim = records.claim()
    assert claim is not None
    with Leases(records, heartbeat_s=NEVER_S).hold(claim) as held:  # no heartbeat gets through
        time.sleep(LEASE_S * 1.2)
        records.sweep()
        assert records.claim() is not None  # another worker's
        with pytest.raises(LeaseLost):
            held.check()
        assert held.lost.is_set()


def test_a_lease_that_ran_out_unnoticed_is_renewed_and_work_goes_on(records: JobRecords) -> None:
    claim = records.claim()
    assert claim is not None
    with Leases(records, heartbeat_s=NEVER_S).hold(claim) as held:
        time.sleep(LEASE_S * 1.2)
        held.check()
        assert records.sweep().overdue == 0
