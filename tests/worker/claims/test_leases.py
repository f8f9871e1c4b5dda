from __future__ import annotations

import time

import pytest

from guanwu.wire.base import new_id
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.claims.leases import Leases
from worker.contract.errors import LeaseLost
from worker.contract.records.connection import connect
from worker.contract.records.records import Records

LEASE_S = 0.4
NEVER_S = 60.0


@pytest.fixture
def records(settings: SettingsFactory) -> Records:
    short = settings(lease_s=LEASE_S)
    records = Records(connect(short), short)
    records.jobs.create(new_record(new_id("job"), total=1, chunk_images=1))
    return records


def test_heartbeats_keep_a_lease_alive(records: Records) -> None:
    claim = records.claims.claim()
    assert claim is not None
    leases = Leases(records, heartbeat_s=LEASE_S / 4)
    leases.start()
    with leases.hold(claim) as held:
        time.sleep(LEASE_S * 2)
        assert records.queue.sweep().overdue == 0
        held.check()
    leases.stop()


def test_a_process_stopped_past_its_lease_hears_of_the_loss_before_it_writes(
    records: Records,
) -> None:
    claim = records.claims.claim()
    assert claim is not None
    with Leases(records, heartbeat_s=NEVER_S).hold(claim) as held:  # no heartbeat gets through
        time.sleep(LEASE_S * 1.2)
        records.queue.sweep()
        assert records.claims.claim() is not None  # another worker's
        with pytest.raises(LeaseLost):
            held.check()
        assert held.lost.is_set()


def test_a_lease_that_ran_out_unnoticed_is_renewed_and_work_goes_on(records: Records) -> None:
    claim = records.claims.claim()
    assert claim is not None
    with Leases(records, heartbeat_s=NEVER_S).hold(claim) as held:
        time.sleep(LEASE_S * 1.2)
        held.check()
        assert records.queue.sweep().overdue == 0
