"""From a submission to a job: inputs and manifest into the store, then the record, then
a wake-up. What a crash leaves behind half-way is objects that nothing names."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import IO

import structlog

from api.incoming import Incoming, Submission
from api.parallel import in_order
from api.services import Services
from worker.contract import keys
from worker.contract.errors import EmptyImage, ImageError, ImageTooLarge, RedisUnavailable
from worker.contract.job import (
    Counts,
    ItemError,
    Job,
    JobStatus,
    ManifestItem,
    Options,
    new_id,
)
from worker.contract.keys import LANES, Lane
from worker.contract.queues import send
from worker.contract.records import JobRecord
from worker.contract.settings import Settings
from worker.contract.views import job_view

log = structlog.get_logger(__name__)

WINDOW = 8  # storage calls of one request in flight
WAKE_UPS = 8  # at most, a job; workers go on by themselves while there is work
PIECE_BYTES = 1 << 20
WHOLE_BYTES = 8 * 2**20  # files up to this are put in one piece, from memory
JSON = "application/json"
JSONL = "application/x-ndjson"
BYTES = "application/octet-stream"


def accept(services: Services, submission: Submission, *, tenant: str) -> Job:
    """Store and record a job, and wake workers up for it.

    Raises:
        InvalidOptions, UnknownModel: no worker can serve the options.
        StoreUnavailable, RedisUnavailable: nothing was accepted.
    """
    services.offer.check(submission.options)
    record = _new_record(services.settings, submission, tenant)
    items = list(_store_inputs(services, submission.images, tenant))
    view = job_view(record, now_ms=record.created_ms)
    _store_manifest(services, record, items, view)
    services.records.create(
        record.job,
        tenant=tenant,
        lane=record.lane,
        total=record.counts.total,
        chunk_images=record.chunk_images,
        options=record.options,
        metadata=record.metadata,
    )
    wake(services, record.lane, count=min(record.chunks, WAKE_UPS))
    return _recorded(services, record) or view


def _recorded(services: Services, record: JobRecord) -> Job | None:
    """The job as later calls will show it; the job is accepted, so nothing fails here."""
    try:
        found = services.records.read(record.tenant, record.job)
    except RedisUnavailable:
        return None
    return None if found is None else job_view(found, now_ms=time.time_ns() // 1_000_000)


def cancel(services: Services, job: str, *, tenant: str) -> JobRecord | None:
    """Ask for a job's end; None if Redis has no such job of the tenant."""
    record = services.records.cancel(tenant, job)
    if record is not None and not record.status.done:
        for lane in LANES:  # its last chunks in its own lane, its closing in `hi`
            wake(services, lane)
    return record


def wake(services: Services, lane: Lane, *, count: int = 1) -> None:
    """Wake workers up. If the broker is away the sweeper does it later."""
    for attempt in (1, 2):  # the first may meet a connection that a restart has cut
        try:
            return send(services.broker, lane, count=count)
        except RedisUnavailable as exc:
            log.warning("wake-up not sent", attempt=attempt, error=exc.message)


def lane_of(options: Options, *, total: int, hi_max_images: int) -> Lane:
    """Interactive and small jobs go first; `bulk` jobs never do."""
    if options.priority == "interactive":
        return "hi"
    return "hi" if options.priority == "normal" and total <= hi_max_images else "bulk"


def _new_record(settings: Settings, submission: Submission, tenant: str) -> JobRecord:
    total = len(submission.images)
    return JobRecord(
        job=new_id("job"),
        tenant=tenant,
        lane=lane_of(submission.options, total=total, hi_max_images=settings.hi_max_images),
        status=JobStatus.QUEUED,
        counts=Counts(total=total, queued=total),
        options=submission.options,
        metadata=submission.metadata,
        chunk_images=settings.chunk_images,
        chunks=-(-total // settings.chunk_images),
        created_ms=time.time_ns() // 1_000_000,
        started_ms=None,
        finished_ms=None,
    )


# --- inputs --------------------------------------------------------------------


def _store_inputs(
    services: Services, images: Sequence[Incoming], tenant: str
) -> Iterator[ManifestItem]:
    """Manifest lines, in order; an image refused at the door has its error in place."""
    tasks = (
        partial(_manifest_item, services, tenant, index, image)
        for index, image in enumerate(images)
    )
    return in_order(services.pool, tasks, window=WINDOW)


def _manifest_item(services: Services, tenant: str, index: int, image: Incoming) -> ManifestItem:
    item = ManifestItem(index=index, custom_id=image.custom_id, filename=image.filename)
    if image.open is None:
        return item.model_copy(update={"source": image.address})
    try:
        source = _store_input(services, tenant, image.open)
    except ImageError as exc:
        error = ItemError.model_validate(exc.as_item_error())
        return item.model_copy(update={"error": error})
    return item.model_copy(update={"source": source})


def _store_input(services: Services, tenant: str, open_it: Callable[[], IO[bytes]]) -> str:
    """Put one image under its hash; returns its `s3://` address.

    Raises:
        ImageError: it has no bytes, too many, or they cannot be had.
    """
    file = open_it()
    size = check_size(file, max_bytes=services.settings.max_image_bytes)
    key = keys.input_key(tenant, sha256_of(file))
    file.seek(0)
    if size <= WHOLE_BYTES:
        services.store.put(key, file.read(), content_type=BYTES)
    else:
        services.store.put_file(key, file, content_type=BYTES)
    return f"s3://{services.settings.s3_bucket}/{key}"


def check_size(file: IO[bytes], *, max_bytes: int) -> int:
    """The file's bytes.

    Raises:
        EmptyImage, ImageTooLarge
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise EmptyImage("the file is empty (0 bytes); was it saved whole?")
    if size > max_bytes:
        raise ImageTooLarge(
            f"the file has {size:,} bytes, the limit is {max_bytes:,}; make it smaller"
        )
    return size


def sha256_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


# --- manifest ------------------------------------------------------------------


def _store_manifest(
    services: Services, record: JobRecord, items: Sequence[ManifestItem], view: Job
) -> None:
    """The manifest's shards and the accepted job, all there before the record is."""
    put = services.store.put
    tasks: list[Callable[[], None]] = []
    for number in range(record.chunks):
        shard = items[number * record.chunk_images : (number + 1) * record.chunk_images]
        body = "".join(item.model_dump_json(exclude_none=True) + "\n" for item in shard)
        key = keys.manifest(record.tenant, record.job, number)
        tasks.append(partial(put, key, body.encode(), content_type=JSONL))
    key = keys.job_record(record.tenant, record.job)
    tasks.append(partial(put, key, view.model_dump_json().encode(), content_type=JSON))
    for _ in in_order(services.pool, tasks, window=WINDOW):
        pass
