"""Retry the items of a finished job that did not succeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from api.jobs.lookup import FoundJob
from api.jobs.wakeups import WAKE_UPS, wake
from api.services.container import Services
from api.services.job_index import read_index
from guanwu.wire.base import to_ms
from guanwu.wire.jobs import Job
from guanwu.wire.statuses import Counts, JobStatus
from worker.contract.errors import JobUnfinished, NothingToRetry
from worker.contract.objects import keys
from worker.contract.objects.store import JSON
from worker.contract.records.job_record import JobRecord, Reopened, Tally

TURN_S = 5.0


def retry(services: Services, job: FoundJob) -> None:
    """Queue again what did not succeed; what did stays as it is.

    First job.json says that the job is not done, then its record: in between, or if Redis
    forgets, the job is restored as one that is being retried.

    Raises:
        JobUnfinished: it is not done, or somebody else is retrying it just now.
        NothingToRetry: all of its items have succeeded.
        QueueFull, StoreUnavailable, RedisUnavailable
    """
    if not job.view.done:
        raise JobUnfinished("only a job that is done can be retried; wait for it, or cancel it")
    tally, chunks = find_unsucceeded(services, job)
    if not chunks:
        raise NothingToRetry("all images of the job have succeeded, or it has none; submit anew")
    items = sum(chunk.items for chunk in chunks)
    services.records.queue.check_room(job.tenant, items)
    if not services.records.turns.take(f"retry:{job.id}", every_s=TURN_S):
        raise JobUnfinished("the job is being retried just now; look at its status")
    queued = to_queued(job.view, items)
    body = queued.model_dump_json().encode()
    services.store.put(keys.job_record(job.tenant, job.id), body, content_type=JSON)
    services.store.delete([keys.cancelled(job.tenant, job.id)])
    if not services.records.jobs.reopen(job.tenant, job.id, tally, chunks):
        services.records.jobs.restore(_build_record(queued, job.tenant), chunks)
    wake(services, queued.lane or "bulk", count=min(len(chunks), WAKE_UPS))


def find_unsucceeded(services: Services, job: FoundJob) -> tuple[Tally, Sequence[Reopened]]:
    """The items that did not succeed: by how they ended, and by chunk."""
    assert job.view.chunk_images is not None
    by_status: Counter[str] = Counter()
    by_chunk: Counter[int] = Counter()
    for index, status in read_index(services.store, job.tenant, job.id).iterate_unsucceeded():
        by_status[status.value] += 1
        by_chunk[index // job.view.chunk_images] += 1
    chunks = [Reopened(number, items, retry=True) for number, items in sorted(by_chunk.items())]
    return Tally(**by_status), chunks


def to_queued(view: Job, items: int) -> Job:
    """The job as it is when `items` of it wait again. It does not expire a second time."""
    total = view.counts.total
    return view.model_copy(
        update={
            "status": JobStatus.QUEUED,
            "done": False,
            "finished_at": None,
            "expires_at": None,
            "runs": view.runs + 1,
            "counts": Counts(total=total, queued=items, succeeded=total - items),
        }
    )


def _build_record(queued: Job, tenant: str) -> JobRecord:
    """The record of a job whose time in Redis was over."""
    assert queued.chunk_images is not None
    return JobRecord(
        job=queued.id,
        tenant=tenant,
        lane=queued.lane or "bulk",
        status=JobStatus.QUEUED,
        counts=queued.counts,
        options=queued.options,
        metadata=queued.metadata,
        chunk_images=queued.chunk_images,
        chunks=-(-queued.counts.total // queued.chunk_images),
        created_ms=to_ms(queued.created_at),
        source=queued.source,
        runs=queued.runs,
        webhook=queued.webhook,
    )
