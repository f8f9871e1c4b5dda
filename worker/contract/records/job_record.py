"""What a job's record and a claim say, and how a job's hash in Redis is written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from guanwu.wire.base import Lane
from guanwu.wire.jobs import ItemError
from guanwu.wire.options import Options
from guanwu.wire.requests import JobWebhook, Source
from guanwu.wire.statuses import Counts, JobStatus
from worker.contract.lanes import QueueName

Verdict = Literal["run", "retry", "cancelled", "expired", "exhausted", "plan", "finalize"]
Stop = Literal["cancelled", "expired"]
MAX_SHARD_CHARS = 4096  # of a shard that a record may hold


@dataclass(frozen=True)
class JobRecord:
    """A job as its record stands.

    Attributes:
        shard: the manifest's only shard, JSON Lines, of a small job until it is done: its
            worker need not ask the store for it.
        traceparent: the span that made the job, where traces are on; what is done for the job
            is below it.
    """

    job: str
    tenant: str
    lane: Lane
    status: JobStatus
    counts: Counts
    options: Options
    metadata: dict[str, Any]
    chunk_images: int
    chunks: int
    created_ms: int
    started_ms: int | None = None
    finished_ms: int | None = None
    expires_ms: int | None = None
    stop: Stop | None = None
    source: Source | None = None
    sealed: bool = True
    cursor: str = ""
    shard: str | None = None
    error: ItemError | None = None
    runs: int = 1
    webhook: JobWebhook | None = None
    traceparent: str | None = None

    @property
    def left(self) -> int:
        """Images that still wait or run."""
        return self.counts.queued + self.counts.running


@dataclass(frozen=True)
class Claim:
    """The right to work on one chunk until the lease ends.

    `items` counts the images that are to end: all of the chunk, or those of a retry.
    `poison` are the indices of images that killed workers and must not run again.
    `more` is the queue it came from, where that holds more.
    """

    verdict: Verdict
    chunk: str
    token: int
    attempts: int
    items: int
    record: JobRecord
    retry: bool = False
    poison: frozenset[int] = frozenset()
    more: QueueName | None = None

    @property
    def job(self) -> str:
        return self.record.job

    @property
    def number(self) -> int:
        """The chunk's number. Not for the pseudo-chunks."""
        return int(self.chunk)


@dataclass(frozen=True)
class Tally:
    """How the items of a chunk ended."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


@dataclass(frozen=True)
class Extended:
    """What adding shards did: the queue in which something became ready; is that all?"""

    queue: QueueName | None
    sealed: bool


@dataclass(frozen=True)
class Reopened:
    """A chunk that is to run again; `retry`: only its items that had not succeeded."""

    number: int
    items: int
    retry: bool = False


@dataclass(frozen=True)
class Sweep:
    """What a sweep found: leases taken back, jobs expired, and chunks ready per queue."""

    overdue: int
    expired: int
    ready: dict[QueueName, int]


@dataclass(frozen=True)
class Load:
    """How much there is to do, in images.

    Attributes:
        pending: images that wait or run, by lane; claimed work counts.
        images_per_s: finished by all workers, over the last minute.
        eta_error: mean error of past predictions, as a share of what was predicted; None
            before there were any.
    """

    pending: dict[Lane, int]
    images_per_s: float
    eta_error: float | None


def parse_job(job: str, fields: Mapping[str, str]) -> JobRecord:
    """A job's hash, read; what only a newer version knows of is left out."""
    source, error, webhook = (fields.get(name) for name in ("source", "error", "webhook"))
    return JobRecord(
        job=job,
        tenant=fields["tenant"],
        lane=cast(Lane, fields["lane"]),
        status=JobStatus(fields["status"]),
        counts=_counts(fields),
        options=Options.model_validate_json(fields["options"], extra="ignore"),
        metadata=json.loads(fields["metadata"]),
        chunk_images=int(fields["chunk_images"]),
        chunks=int(fields["chunks"]),
        created_ms=int(fields["created_ms"]),
        started_ms=_optional_int(fields.get("started_ms")),
        finished_ms=_optional_int(fields.get("finished_ms")),
        expires_ms=_optional_int(fields.get("expires_ms")),
        stop=cast(Stop | None, fields.get("stop")),
        source=None if source is None else Source.model_validate_json(source, extra="ignore"),
        sealed=fields["sealed"] == "1",
        cursor=fields["cursor"],
        shard=fields.get("shard"),
        error=None if error is None else ItemError.model_validate_json(error, extra="ignore"),
        runs=int(fields.get("runs", 1)),
        webhook=None
        if webhook is None
        else JobWebhook.model_validate_json(webhook, extra="ignore"),
        traceparent=fields.get("traceparent"),
    )


def _counts(fields: Mapping[str, str]) -> Counts:
    total = int(fields["total"])
    known = {n: int(fields[n]) for n in ("running", "succeeded", "failed", "cancelled", "expired")}
    return Counts(total=total, queued=total - sum(known.values()), **known)


def _optional_int(text: str | None) -> int | None:
    return None if text is None else int(text)
