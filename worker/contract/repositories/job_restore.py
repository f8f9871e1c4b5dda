"""Restore jobs that Redis has lost while they ran from their objects in S3.

The job itself is in its job.json, the progress of its source in plan.json, and finished
work in its chunk results: those are written before a record says so. A chunk that had run
but was not yet recorded is not run again. A job that has an index was finished once: it is
being retried, and what has not succeeded in it runs again.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor

from ulid import ULID

from guanwu.wire.base import to_ms
from guanwu.wire.jobs import Job
from guanwu.wire.statuses import Counts, JobStatus
from worker.contract.errors import ObjectNotFound
from worker.contract.manifest_item import Plan
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.job_record import JobRecord, Reopened
from worker.contract.records.records import Records
from worker.contract.repositories.chunk_results import read_chunk
from worker.contract.repositories.manifests import read_job


def undone_jobs(
    store: ObjectStore, *, since: dt.datetime | None = None
) -> Iterator[tuple[str, Job]]:
    """Tenant and last known view of every job whose job.json does not say it is done.

    `since` leaves out jobs that were submitted before.
    """
    after = "" if since is None else f"job_{ULID.from_datetime(since)}"
    for tenant in store.folders(keys.TENANTS):
        for name in store.folders(keys.jobs_prefix(tenant), after=after):
            job = stored_job(store, tenant, name)
            if job is not None and not job.done:
                yield tenant, job


def stored_job(store: ObjectStore, tenant: str, job: str) -> Job | None:
    """A job as its job.json has it; None for one that never came to be, or is being deleted."""
    return read_job(store, tenant, job, Job)


def restore(records: Records, store: ObjectStore, tenant: str, job: Job, *, io: Executor) -> bool:
    """Record a job that Redis has lost, so that workers go on with it. False if it is there.

    A job that was being cancelled is cancelled again.

    Raises:
        ObjectNotFound: its manifest is gone too.
        StoreUnavailable, RedisUnavailable
    """
    assert job.chunk_images is not None
    assert job.lane is not None
    plan = _read_plan(store, tenant, job)
    numbers = _done_chunks(store, tenant, job.id)
    counted = io.map(lambda n: _count_by_status(store, tenant, job.id, n), numbers)
    chunks = dict(zip(numbers, counted, strict=True))
    retried = store.exists(keys.index(tenant, job.id))
    ended: Counter[str] = Counter()
    undone = []
    size = job.chunk_images
    for number in range(plan.chunks):
        statuses = chunks.get(number)
        if statuses is None:
            undone.append(Reopened(number, min(size, plan.items - number * size)))
            continue
        succeeded = statuses["succeeded"]
        if retried and succeeded < statuses.total():
            undone.append(Reopened(number, statuses.total() - succeeded, retry=True))
            statuses = Counter(succeeded=succeeded)
        ended.update(statuses)
    record = JobRecord(
        job=job.id,
        tenant=tenant,
        lane=job.lane,
        status=JobStatus.QUEUED,
        counts=Counts(total=plan.items, **ended),
        options=job.options,
        metadata=job.metadata,
        chunk_images=size,
        chunks=plan.chunks,
        created_ms=to_ms(job.created_at),
        expires_ms=None if job.expires_at is None else to_ms(job.expires_at),
        source=job.source,
        runs=job.runs,
        webhook=job.webhook,
        sealed=plan.sealed,
        cursor=plan.cursor,
    )
    restored = records.jobs.restore(record, undone)
    if restored and _is_cancelled(store, tenant, job):
        records.jobs.cancel(tenant, job.id)
    return restored


def _is_cancelled(store: ObjectStore, tenant: str, job: Job) -> bool:
    return job.status is JobStatus.CANCELLING or store.exists(keys.cancelled(tenant, job.id))


def _read_plan(store: ObjectStore, tenant: str, job: Job) -> Plan:
    """Progress of the job's source; a job without a source was whole from the start."""
    assert job.chunk_images is not None
    if job.source is None:
        chunks = -(-job.counts.total // job.chunk_images)
        return Plan(cursor="", chunks=chunks, items=job.counts.total, sealed=True)
    try:
        return Plan.model_validate_json(store.get(keys.plan(tenant, job.id)), extra="ignore")
    except ObjectNotFound:
        return Plan(cursor="", chunks=0, items=0, sealed=False)


def _done_chunks(store: ObjectStore, tenant: str, job: str) -> list[int]:
    folder, results = keys.job_prefix(tenant, job) + "chunks/", ".jsonl"
    names = (key.removeprefix(folder) for key in store.keys(folder))
    return [int(name.removesuffix(results)) for name in names if name.endswith(results)]


def _count_by_status(store: ObjectStore, tenant: str, job: str, number: int) -> Counter[str] | None:
    """Items of a chunk by status; None if it has gone meanwhile."""
    results = read_chunk(store, tenant, job, number)
    return None if results is None else Counter(result.status.value for result in results)
