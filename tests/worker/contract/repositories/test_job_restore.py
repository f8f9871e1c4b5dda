"""Jobs that Redis lost come back from their objects, on real Redis and S3."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from guanwu.wire.base import new_id
from guanwu.wire.jobs import Job
from guanwu.wire.options import Options
from guanwu.wire.requests import Source
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.contract.manifest_item import Plan
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.job_record import JobRecord, Tally
from worker.contract.records.job_view import job_view
from worker.contract.records.records import Records
from worker.contract.repositories.job_restore import restore, undone_jobs

TENANT = "one"
SIZE = 4


@pytest.fixture
def records(settings: SettingsFactory) -> Records:
    return Records(connect(settings()), settings())


@pytest.fixture
def store(settings: SettingsFactory) -> ObjectStore:
    return ObjectStore(settings())


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def submit(records: Records, store: ObjectStore, total: int, source: Source | None = None) -> str:
    job = new_id("job")
    records.jobs.create(
        new_record(
            job,
            tenant=TENANT,
            total=total,
            chunk_images=SIZE,
            options=Options(top_k=3),
            metadata={"名": "猫"},
            source=source,
        )
    )
    write_view(records, store, job)
    return job


def write_view(records: Records, store: ObjectStore, job: str) -> None:
    view = job_view(read(records, job), now_ms=0)
    body = view.model_dump_json().encode()
    store.put(keys.job_record(TENANT, job), body, content_type="application/json")


def write_chunk(store: ObjectStore, job: str, number: int, *statuses: ItemStatus) -> None:
    first = number * SIZE
    results = [
        ItemResult(job=job, index=first + n, status=status) for n, status in enumerate(statuses)
    ]
    body = "\n".join(result.model_dump_json() for result in results).encode()
    # What else of a chunk is kept there comes before its results, which may be missing.
    store.put(keys.chunk_densities(TENANT, job, number), b"maps", content_type="text/plain")
    store.put(keys.chunk_results(TENANT, job, number), body, content_type="text/plain")


def read(records: Records, job: str) -> JobRecord:
    record = records.jobs.read(TENANT, job)
    assert record is not None
    return record


def forget(settings: SettingsFactory) -> None:
    """Lose everything Redis knew of this test."""
    own = settings()
    client = connect(own)
    for key in client.scan_iter(match=f"{own.redis_prefix}*"):
        client.delete(key)


def the_lost_job(store: ObjectStore) -> Job:
    ((tenant, job),) = undone_jobs(store)
    assert tenant == TENANT
    return job


def test_only_chunks_without_results_run_again(
    records: Records, store: ObjectStore, pool: ThreadPoolExecutor, settings: SettingsFactory
) -> None:
    job = submit(records, store, 10)
    good, bad = ItemStatus.SUCCEEDED, ItemStatus.FAILED
    write_chunk(store, job, 1, good, good, bad, good)
    forget(settings)
    assert restore(records, store, TENANT, the_lost_job(store), io=pool)
    record = read(records, job)
    assert (record.counts.succeeded, record.counts.failed, record.counts.queued) == (3, 1, 6)
    assert (record.options.top_k, record.metadata) == (3, {"名": "猫"})
    assert records.queue.load().pending["bulk"] == 6
    claims = []
    while (claim := records.claims.claim()) is not None and claim.action == "run":
        claims.append((claim.number, claim.items))
        records.claims.finish(claim, Tally(succeeded=claim.items))
    assert claims == [(0, 4), (2, 2)]
    assert claim is not None
    assert claim.action == "finalize"
    assert records.queue.load().pending["bulk"] == 0


def test_a_job_whose_chunks_are_all_done_only_needs_closing(
    records: Records, store: ObjectStore, pool: ThreadPoolExecutor, settings: SettingsFactory
) -> None:
    job = submit(records, store, 3)
    write_chunk(store, job, 0, *[ItemStatus.SUCCEEDED] * 3)
    forget(settings)
    restore(records, store, TENANT, the_lost_job(store), io=pool)
    claim = records.claims.claim()
    assert claim is not None
    assert (claim.action, claim.record.counts.succeeded) == ("finalize", 3)


def test_a_job_that_was_being_planned_is_planned_on(
    records: Records, store: ObjectStore, pool: ThreadPoolExecutor, settings: SettingsFactory
) -> None:
    source = Source(kind="prefix", address="s3://pets/")
    job = submit(records, store, 0, source)
    plan = Plan(cursor="k7", chunks=2, items=8, sealed=False)
    store.put(keys.plan(TENANT, job), plan.model_dump_json().encode(), content_type="text/plain")
    write_chunk(store, job, 0, *[ItemStatus.SUCCEEDED] * 4)
    forget(settings)
    restore(records, store, TENANT, the_lost_job(store), io=pool)
    planner = records.claims.claim(("coordinator",))
    assert planner is not None
    assert (planner.action, planner.record.cursor, planner.record.chunks) == ("plan", "k7", 2)
    undone = records.claims.claim(("bulk",))
    assert undone is not None
    assert (undone.number, undone.items) == (1, 4)


def test_a_job_that_was_being_cancelled_stays_cancelled(
    records: Records, store: ObjectStore, pool: ThreadPoolExecutor, settings: SettingsFactory
) -> None:
    job = submit(records, store, 3)
    records.jobs.cancel(TENANT, job)
    write_view(records, store, job)
    forget(settings)
    restore(records, store, TENANT, the_lost_job(store), io=pool)
    claim = records.claims.claim()
    assert claim is not None
    assert claim.action == "cancelled"


def test_a_job_that_redis_still_knows_is_left_alone(
    records: Records, store: ObjectStore, pool: ThreadPoolExecutor
) -> None:
    job = submit(records, store, 3)
    assert not restore(records, store, TENANT, the_lost_job(store), io=pool)
    assert read(records, job).counts.queued == 3


def test_finished_jobs_are_not_lost(records: Records, store: ObjectStore) -> None:
    job = submit(records, store, 1)
    claim = records.claims.claim()
    assert claim is not None
    records.claims.finish(claim, Tally(succeeded=1))
    final = records.claims.claim()
    assert final is not None
    records.claims.settle(final, JobStatus.SUCCEEDED, finished_ms=5)
    write_view(records, store, job)
    assert list(undone_jobs(store)) == []
