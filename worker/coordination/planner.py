"""Plan a job: its source -> manifest shards in S3 -> chunks in its window.

It is a chunk like others: claimed with a lease, fenced, and taken over when its worker
dies. Shards are written first; then one atomic step adds them and moves the cursor. A
planner that dies between the two leaves shards that its successor writes again, the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice

import structlog

from guanwu.wire.jobs import ItemError
from worker.claims.leases import HeldClaim, Leases
from worker.contract.errors import (
    ObjectNotFound,
    QuotaExceeded,
    ServiceUnavailable,
    SourceInvalid,
    StoreDenied,
)
from worker.contract.lanes import QueueName
from worker.contract.manifest_item import ManifestItem, Plan
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, JSONL, ObjectStore
from worker.contract.records.job_record import Claim, JobRecord
from worker.contract.records.records import Records
from worker.sources.entry import Entry, SourceReader

log = structlog.get_logger(__name__)

SHARDS_A_STEP = 32
GIVE_BACK_S = 3.0
NEXT_S = 1.0


class Planner:
    """Runs the pseudo-chunk `plan` of jobs that are made of a source."""

    def __init__(
        self,
        records: Records,
        store: ObjectStore,
        leases: Leases,
        io: Executor,
        open_source: Callable[[JobRecord], SourceReader],
        wake: Callable[[QueueName], None],
        *,
        max_images: int,
        max_attempts: int,
        at_once: int,
    ) -> None:
        self._records = records
        self._store = store
        self._leases = leases
        self._io = io
        self._open_source = open_source
        self._wake = wake
        self._max_images = max_images
        self._max_attempts = max_attempts
        self._slots = threading.Semaphore(at_once)

    def run(self, claim: Claim) -> QueueName | None:
        """Plan a job to the end of its source, or give the claim back.

        At most `at_once` jobs are planned here at a time. A source that cannot be read, or
        holds more than the quota allows, ends the job with an error, after what was planned.

        Raises:
            LeaseLost: another planner goes on.
        """
        if not self._slots.acquire(blocking=False):
            return self._records.claims.release(claim, delay_s=NEXT_S, counted=False)
        try:
            return self._run(claim)
        finally:
            self._slots.release()

    def _run(self, claim: Claim) -> QueueName | None:
        with self._leases.hold(claim) as held:
            try:
                if claim.attempts > self._max_attempts:
                    raise SourceInvalid("reading the source failed again and again; see the logs")
                return self._plan(held)
            except (SourceInvalid, ObjectNotFound) as exc:
                log.warning("source cannot be read", error=exc.message)
                error = SourceInvalid(exc.message).as_item_error()
                return self._records.claims.seal(claim, ItemError.model_validate(error))
            except QuotaExceeded as exc:
                log.warning("source exceeds the quota")
                reason = ItemError.model_validate(exc.as_item_error())
                return self._records.claims.seal(claim, reason)
            except (ServiceUnavailable, StoreDenied) as exc:
                log.warning("planning given back", error=exc.message)
                return self._records.claims.release(claim, delay_s=GIVE_BACK_S, counted=False)

    def _plan(self, held: HeldClaim) -> QueueName | None:
        claim, record = held.claim, held.claim.record
        index, shard = record.counts.total, record.chunks
        entries = iter(self._open_source(record).entries(record.cursor))
        while step := list(islice(entries, SHARDS_A_STEP * record.chunk_images)):
            held.check()
            items = [_at(entry, index + n) for n, entry in enumerate(step)]
            if index + len(items) > self._max_images:
                raise SourceInvalid(f"a job holds up to {self._max_images:,} images; split it")
            shards = list(_shards(items, record.chunk_images))
            whole = len(items) == SHARDS_A_STEP * record.chunk_images
            self._write(record, shards, first=shard)
            self._remember(record, step[-1], index + len(items), shard + len(shards), whole)
            added = self._records.claims.extend(
                claim,
                after=shard,
                chunks=len(shards),
                items=len(items),
                cursor=step[-1].cursor,
                sealed=not whole,
            )
            if added.sealed:
                return added.queue
            if added.queue is not None:
                self._wake(added.queue)
            index, shard = index + len(items), shard + len(shards)
        if index == 0:
            raise SourceInvalid("there is no image in the source; name one that holds some")
        return self._records.claims.seal(claim)

    def _write(
        self, record: JobRecord, shards: Sequence[Sequence[ManifestItem]], *, first: int
    ) -> None:
        def put(number: int, items: Sequence[ManifestItem]) -> None:
            body = "".join(item.model_dump_json(exclude_none=True) + "\n" for item in items)
            key = keys.manifest(record.tenant, record.job, number)
            self._store.put(key, body.encode(), content_type=JSONL)

        numbers = range(first, first + len(shards))
        list(self._io.map(put, numbers, shards))

    def _remember(
        self, record: JobRecord, last: Entry, items: int, chunks: int, more: bool
    ) -> None:
        """Leave in the store how far planning came, for a Redis that forgets."""
        plan = Plan(cursor=last.cursor, chunks=chunks, items=items, sealed=not more)
        key = keys.plan(record.tenant, record.job)
        self._store.put(key, plan.model_dump_json().encode(), content_type=JSON)


def _at(entry: Entry, index: int) -> ManifestItem:
    return entry.item.model_copy(update={"index": index})


def _shards(items: Sequence[ManifestItem], size: int) -> Iterator[Sequence[ManifestItem]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
