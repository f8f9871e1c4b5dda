"""A job's record and a claim, and the hash in Redis behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from guanwu.wire.base import Lane, Wire
from guanwu.wire.jobs import ItemError
from guanwu.wire.options import Options
from guanwu.wire.requests import JobWebhook, Source
from guanwu.wire.statuses import Counts, JobStatus
from worker.contract.lanes import QueueName

ClaimAction = Literal["run", "retry", "cancelled", "expired", "exhausted", "plan", "finalize"]
Stop = Literal["cancelled", "expired"]
_Model = TypeVar("_Model", bound=Wire)
MAX_SHARD_CHARS = 4096  # of a shard that a record may hold


@dataclass(frozen=True)
class JobRecord:
    """A job as Redis has it.

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

    action: ClaimAction
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
    """Items of a chunk by how they ended."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


@dataclass(frozen=True)
class Extended:
    """Outcome of adding shards: the queue in which something became ready; is that all?"""

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
    """Outcome of a sweep: leases taken back, jobs expired, and chunks ready per queue."""

    overdue: int
    expired: int
    ready: dict[QueueName, int]


@dataclass(frozen=True)
class Load:
    """Work of all jobs together, in images.

    Attributes:
        pending: images that wait or run, by lane; claimed work counts.
        images_per_s: finished by all workers, over the last minute.
        eta_error: mean error of past predictions, as a share of what was predicted; None
            before there were any.
    """

    pending: dict[Lane, int]
    images_per_s: float
    eta_error: float | None


def to_fields(record: JobRecord) -> dict[str, str]:
    """A record as a job's hash; what is None is left out."""
    fields: dict[str, object | None] = {
        "tenant": record.tenant,
        "lane": record.lane,
        "status": record.status.value,
        **record.counts.model_dump(exclude={"queued"}),
        "options": record.options.model_dump_json(),
        "metadata": json.dumps(record.metadata, ensure_ascii=False),
        "chunk_images": record.chunk_images,
        "chunks": record.chunks,
        "created_ms": record.created_ms,
        "started_ms": record.started_ms,
        "finished_ms": record.finished_ms,
        "expires_ms": record.expires_ms,
        "stop": record.stop,
        "source": _to_json(record.source),
        "sealed": int(record.sealed),
        "cursor": record.cursor,
        "shard": record.shard,
        "error": _to_json(record.error),
        "runs": record.runs,
        "webhook": _to_json(record.webhook),
        "traceparent": record.traceparent,
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


def from_fields(job: str, fields: Mapping[str, str]) -> JobRecord:
    """The inverse of `to_fields`; what only a newer version knows of is left out."""
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
        source=_from_json(Source, fields.get("source")),
        sealed=fields["sealed"] == "1",
        cursor=fields["cursor"],
        shard=fields.get("shard"),
        error=_from_json(ItemError, fields.get("error")),
        runs=int(fields.get("runs", 1)),
        webhook=_from_json(JobWebhook, fields.get("webhook")),
        traceparent=fields.get("traceparent"),
    )


def _to_json(model: Wire | None) -> str | None:
    return None if model is None else model.model_dump_json()


def _from_json(kind: type[_Model], text: str | None) -> _Model | None:
    return None if text is None else kind.model_validate_json(text, extra="ignore")


def _counts(fields: Mapping[str, str]) -> Counts:
    total = int(fields["total"])
    others = {n: int(fields[n]) for n in ("running", "succeeded", "failed", "cancelled", "expired")}
    return Counts(total=total, queued=total - sum(others.values()), **others)


def _optional_int(text: str | None) -> int | None:
    return None if text is None else int(text)
