from __future__ import annotations

import datetime as dt

import pytest

from guanwu.wire.base import new_id
from guanwu.wire.jobs import Job
from guanwu.wire.label_sets import ClientSet, Proposal, SetLabel
from guanwu.wire.options import Options
from guanwu.wire.statuses import Counts, JobStatus
from tests.support.stack import SettingsFactory
from worker.contract.errors import ProposalNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.records import Records
from worker.contract.repositories.client_label_sets import ClientSets
from worker.coordination.retention import Retention, is_over

NOW = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
DAY_S = 86_400


def job(*, finished_days_ago: float | None, retain_s: int | None = None) -> Job:
    ended = None if finished_days_ago is None else NOW - dt.timedelta(days=finished_days_ago)
    return Job(
        id=new_id("job"),
        status=JobStatus.RUNNING if ended is None else JobStatus.SUCCEEDED,
        done=ended is not None,
        created_at=NOW - dt.timedelta(days=50),
        finished_at=ended,
        counts=Counts(total=1),
        options=Options(retain_s=retain_s),
    )


@pytest.mark.parametrize(
    ("kept", "server_s", "over"),
    [
        (job(finished_days_ago=8), 7 * DAY_S, True),
        (job(finished_days_ago=6), 7 * DAY_S, False),
        (job(finished_days_ago=2, retain_s=DAY_S), 7 * DAY_S, True),
        (job(finished_days_ago=8, retain_s=9 * DAY_S), 7 * DAY_S, False),
        (job(finished_days_ago=2, retain_s=DAY_S), None, True),
        (job(finished_days_ago=999), None, False),
        (job(finished_days_ago=None), 7 * DAY_S, False),
    ],
)
def test_a_jobs_own_time_goes_before_the_servers(kept: Job, server_s: int, over: bool) -> None:
    assert is_over(kept, retain_s=server_s, now=NOW) is over


def test_a_job_that_is_over_goes_with_all_it_has_and_others_stay(
    settings: SettingsFactory,
) -> None:
    store = ObjectStore(settings())
    records = Records(connect(settings()), settings())
    old, new = job(finished_days_ago=8), job(finished_days_ago=1)
    for one in (old, new):
        body = one.model_dump_json().encode()
        store.put(keys.job_record("one", one.id), body, content_type="application/json")
        store.put(keys.labels("one", one.id, 0), b"{}", content_type="application/json")
    shared = keys.input_key("one", "ab" * 32)
    store.put(shared, b"still young", content_type="image/png")
    retention = Retention(records, store, retain_s=7 * DAY_S, proposal_retain_s=None, every_s=60)
    assert retention.sweep(NOW) == 1
    assert list(store.keys(keys.job_prefix("one", old.id))) == []
    assert len(list(store.keys(keys.job_prefix("one", new.id)))) == 2
    assert store.exists(shared)


def test_inputs_older_than_every_kept_job_go(settings: SettingsFactory) -> None:
    store = ObjectStore(settings())
    records = Records(connect(settings()), settings())
    store.put(keys.input_key("one", "cd" * 32), b"old", content_type="image/png")
    in_two_days = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    Retention(records, store, retain_s=DAY_S, proposal_retain_s=None, every_s=60).sweep(in_two_days)
    assert list(store.keys("t/one/inputs/")) == []


def test_a_deleted_label_set_goes_when_no_kept_job_can_run_on_it(
    settings: SettingsFactory,
) -> None:
    store, now = ObjectStore(settings()), dt.datetime.now(dt.UTC)
    records, sets = Records(connect(settings()), settings()), ClientSets(store)
    deleted, kept = (made_label_set(sets) for _ in range(2))
    sets.hide("one", deleted)
    created_at = now - dt.timedelta(minutes=1)
    running = job(finished_days_ago=None).model_copy(update={"created_at": created_at})
    store.put(
        keys.job_record("one", running.id),
        running.model_dump_json().encode(),
        content_type="application/json",
    )
    retention = Retention(records, store, retain_s=DAY_S, proposal_retain_s=None, every_s=60)
    retention.sweep(now + dt.timedelta(days=2))
    assert sets.versions("one", deleted) == [1]
    store.delete([keys.job_record("one", running.id)])
    retention.sweep(now + dt.timedelta(days=2))
    assert list(store.keys(keys.client_set_prefix("one", deleted))) == []
    assert sets.find("one", kept).version == 1


def test_an_old_proposal_goes_and_its_label_set_stays(settings: SettingsFactory) -> None:
    store, now = ObjectStore(settings()), dt.datetime.now(dt.UTC)
    records, sets = Records(connect(settings()), settings()), ClientSets(store)
    set_id = made_label_set(sets)
    proposal = Proposal(
        id=f"lsp_{set_id.removeprefix('lbs_')}",
        label_set=set_id,
        base=1,
        added={},
        examples=(),
        skipped={},
        skipped_feedback=(),
        created_at=now,
    )
    sets.put_proposal("one", proposal)
    retention = Retention(records, store, retain_s=None, proposal_retain_s=3 * DAY_S, every_s=60)
    retention.sweep(now + dt.timedelta(days=2))
    assert sets.proposal("one", set_id, proposal.id) == proposal
    retention.sweep(now + dt.timedelta(days=4))
    with pytest.raises(ProposalNotFound):
        sets.proposal("one", set_id, proposal.id)
    assert sets.find("one", set_id).version == 1


def made_label_set(sets: ClientSets) -> str:
    made = ClientSet(
        id=new_id("lbs"),
        version=1,
        status="ready",
        labels=(SetLabel(zh="茶", en="tea"), SetLabel(zh="水", en="water")),
        created_at=NOW,
    )
    sets.put("one", made)
    return made.id


def test_one_of_all_processes_has_the_turn(settings: SettingsFactory) -> None:
    first, second = (Records(connect(settings()), settings()) for _ in range(2))
    assert first.turns.take("x", every_s=60)
    assert not second.turns.take("x", every_s=60)
    assert second.turns.take("y", every_s=60)
