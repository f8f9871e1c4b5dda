"""Accept a submission as a job: store inputs and manifest, write the record, send a wake-up.

A crash on the way leaves objects that nothing names.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from api.catalog import label_sets
from api.jobs.wakeups import WAKE_UPS, wake
from api.services.container import Services
from api.services.parallel import in_order
from api.submissions import source_check
from api.submissions.inputs import store_inputs
from api.submissions.submission import Submission
from guanwu.wire.base import Lane, new_id
from guanwu.wire.jobs import Job
from guanwu.wire.options import Options
from guanwu.wire.statuses import Counts, JobStatus
from worker.contract.errors import GuanwuError, QueueFull, QuotaExceeded, RedisUnavailable
from worker.contract.lanes import COORDINATOR
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, JSONL
from worker.contract.records.job_record import MAX_SHARD_CHARS, JobRecord, Load
from worker.contract.records.job_view import job_view
from worker.contract.records.quota import Allowance
from worker.contract.repositories.job_restore import stored_job
from worker.contract.repositories.manifests import job_json
from worker.contract.settings.model import Settings
from worker.contract.telemetry.tracing import traceparent

WINDOW = 8  # storage calls of one request in flight
RENEW_EVERY_S = 2.0  # with `STALL_S` of one call after it less than the lease of a key


def accept(
    services: Services,
    submission: Submission,
    *,
    tenant: str,
    allowances: Sequence[Allowance],
    job: str | None = None,
    renew: Callable[[], None] | None = None,
) -> Job:
    """Store and record a job, and wake workers up for it.

    With the id `job` it may be called again after a failure or a crash: the record is made
    once. `renew` raises if another request has taken that over, and else keeps others from it; it
    is called while inputs are stored, and before the job's own objects are written, which must not
    come over those of a job that is done.

    Raises:
        InvalidOptions, UnknownModel: no worker can serve the options.
        LabelSetBuilding, LabelSetFailed: the client's label set that they name is not ready.
        QueueFull: too many images wait already.
        QuotaExceeded: more images than may be submitted today, or this month.
        InputMissing, InputForbidden, SourceInvalid: there is nothing to read at its source.
        StoreUnavailable, RedisUnavailable: nothing was accepted.
    """
    if not submission.builds:  # which names a version before it is ready
        options = label_sets.resolve_options(services, submission.options, tenant)
        submission = replace(submission, options=options)
    services.records.queue.check_room(tenant, max(1, len(submission.images)), allowances)
    if submission.source is not None:
        source_check.check(submission.source, services.store, services.settings)
    record = _new_record(services.settings, submission, tenant, job or new_id("job"))
    stored = store_inputs(services, submission.images, tenant)
    items = list(stored) if renew is None else list(_renew_while_storing(stored, renew))
    view = job_view(record, now_ms=record.created_ms)
    shards = _shards(items, images=record.chunk_images)
    small = _small_shard(shards)
    if small is None:
        _store_shards(services, record, shards)
    # Last before the record: a reader of job.json may restore the job, so all else must be there.
    body = view.model_dump_json().encode() if small is None else job_json(view, small)
    services.store.put(keys.job_record(tenant, record.job), body, content_type=JSON)
    _create(services, replace(record, shard=small), allowances)
    if record.source is None:
        wake(services, record.lane, count=min(record.chunks, WAKE_UPS))
    else:
        wake(services, COORDINATOR)
    return _read_recorded(services, record) or view


def _renew_while_storing(
    items: Iterable[ManifestItem], renew: Callable[[], None]
) -> Iterator[ManifestItem]:
    """The items; the claim to the request's key is renewed while they come, and at their end."""
    renewed_s = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - renewed_s >= RENEW_EVERY_S:
            with contextlib.suppress(RedisUnavailable):  # it has to be there at the end
                renew()
            renewed_s = time.monotonic()
    renew()


def _create(services: Services, record: JobRecord, allowances: Sequence[Allowance]) -> None:
    """Record the job. A job that is refused here must not come back from its job.json."""
    try:
        services.records.jobs.create(record, allowances)
    except (QueueFull, QuotaExceeded):
        with contextlib.suppress(GuanwuError):
            services.store.delete([keys.job_record(record.tenant, record.job)])
        raise


def _read_recorded(services: Services, record: JobRecord) -> Job | None:
    """The job as later calls will show it; the job is accepted, so nothing fails here."""
    try:
        recorded, load = services.records.jobs.look(record.tenant, record.job)
    except RedisUnavailable:
        return None
    return None if recorded is None else to_view(recorded, load)


def to_view(record: JobRecord, load: Load | None = None) -> Job:
    """The job as it is now."""
    return job_view(record, now_ms=time.time_ns() // 1_000_000, load=load)


def lane_of(options: Options, *, total: int | None, hi_max_images: int) -> Lane:
    """Interactive and small jobs go first; `bulk` jobs never do, nor those of unknown size."""
    if options.priority == "interactive":
        return "hi"
    small = total is not None and total <= hi_max_images
    return "hi" if options.priority == "normal" and small else "bulk"


def expires_ms(options: Options, settings: Settings, *, created_ms: int) -> int | None:
    """When what is not done by then expires; None: never."""
    after_s = options.expires_after_s or settings.expires_after_s
    return None if after_s is None else created_ms + after_s * 1000


def _new_record(settings: Settings, submission: Submission, tenant: str, job: str) -> JobRecord:
    total = len(submission.images)
    created_ms = time.time_ns() // 1_000_000
    return JobRecord(
        job=job,
        tenant=tenant,
        lane=lane_of(
            submission.options,
            total=None if submission.source else total,
            hi_max_images=settings.hi_max_images,
        ),
        status=JobStatus.QUEUED,
        counts=Counts(total=total, queued=total),
        options=submission.options,
        metadata=submission.metadata,
        chunk_images=settings.chunk_images,
        chunks=-(-total // settings.chunk_images),
        created_ms=created_ms,
        expires_ms=expires_ms(submission.options, settings, created_ms=created_ms),
        source=submission.source,
        webhook=submission.webhook,
        sealed=submission.source is None,
        traceparent=traceparent(),
    )


def _shards(items: Sequence[ManifestItem], *, images: int) -> list[str]:
    """The manifest as JSON Lines, `images` of them in a shard."""
    lines = [item.model_dump_json(exclude_none=True) + "\n" for item in items]
    return ["".join(lines[at : at + images]) for at in range(0, len(lines), images)]


def _small_shard(shards: Sequence[str]) -> str | None:
    """The only shard, if record and job.json may hold it."""
    small = len(shards) == 1 and len(shards[0]) <= MAX_SHARD_CHARS
    return shards[0] if small else None


def _store_shards(services: Services, record: JobRecord, shards: Sequence[str]) -> None:
    put = services.store.put
    tasks: list[Callable[[], None]] = []
    for number, shard in enumerate(shards):
        key = keys.manifest(record.tenant, record.job, number)
        tasks.append(partial(put, key, shard.encode(), content_type=JSONL))
    for _ in in_order(services.pools.store, tasks, window=WINDOW):
        pass


def find_accepted(services: Services, tenant: str, job: str) -> Job | None:
    """The job, if the request that went before came so far as to record it.

    A job.json alone proves nothing while it says queued: it is written before the record.
    """
    record = services.records.jobs.read(tenant, job)
    if record is not None:
        return to_view(record)
    stored = stored_job(services.store, tenant, job)
    return stored if stored is not None and stored.done else None
