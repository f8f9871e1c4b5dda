"""JobRecords: the truth about jobs and chunks, in Redis.

Every transition is one atomic call of records.lua. A claim carries a lease, which ends
unless heartbeats renew it, and a fencing token: a worker whose lease was taken away
cannot commit (Gray and Cheriton 1989, Leases; the token after Kleppmann 2016).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from worker.contract.errors import LeaseLost, RedisUnavailable
from worker.contract.job import Counts, JobStatus, Options
from worker.contract.keys import FINAL, LANES, Lane, RedisKeys
from worker.contract.settings import Settings

Verdict = Literal["run", "cancelled", "exhausted", "finalize"]
WINDOW_CHUNKS = 64  # of one job, ready or claimed at a time
SWEEP_LIMIT = 500


@dataclass(frozen=True)
class JobRecord:
    """A job as its record stands."""

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
    started_ms: int | None
    finished_ms: int | None
    cancelling: bool


@dataclass(frozen=True)
class Claim:
    """The right to work on one chunk until the lease ends."""

    verdict: Verdict
    chunk: str
    token: int
    attempts: int
    items: int
    record: JobRecord

    @property
    def job(self) -> str:
        return self.record.job

    @property
    def number(self) -> int:
        """The chunk's number. Not for the pseudo-chunk `final`."""
        return int(self.chunk)


@dataclass(frozen=True)
class Tally:
    """How the items of a chunk ended."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


@dataclass(frozen=True)
class Sweep:
    """What a sweep found: leases taken back, and chunks ready per lane."""

    overdue: int
    ready: dict[Lane, int]


def connect(settings: Settings) -> redis.Redis:
    """A Redis client that answers or fails within `redis_timeout_s`, twice tried."""
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
        decode_responses=True,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Redis's own errors become RedisUnavailable."""
    try:
        yield
    except OutOfMemoryError as exc:
        raise RedisUnavailable("Redis is full (maxmemory); free memory or raise the limit") from exc
    except ReadOnlyError as exc:
        raise RedisUnavailable("Redis is read-only: a replica; set GUANWU_REDIS_URL") from exc
    except redis.ResponseError as exc:
        if not str(exc).startswith(("MISCONF", "NOREPLICAS")):
            raise
        raise RedisUnavailable(f"Redis refuses writes: {exc}") from exc
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError) as exc:
        raise RedisUnavailable("Redis does not answer; try again soon") from exc


class JobRecords:
    """All reads and writes of job and chunk records."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._keys = RedisKeys(settings.redis_prefix)
        self._client = client
        self._lease_ms = int(settings.lease_s * 1000)
        self._max_attempts = settings.max_attempts
        self._ttl_s = settings.record_ttl_s
        lua = resources.files("worker.contract").joinpath("records.lua").read_text()
        self._script = client.register_script(self._keys.lua_preamble() + lua)

    def _call(self, command: str, *args: object) -> Any:
        with translated():
            return self._script(args=[command, *map(str, args)])

    def create(
        self,
        job: str,
        *,
        tenant: str,
        lane: Lane,
        total: int,
        chunk_images: int,
        options: Options,
        metadata: Mapping[str, Any],
    ) -> bool:
        """Record a job and make its first chunks ready. False if it exists already."""
        fields = {
            "tenant": tenant,
            "lane": lane,
            "total": total,
            "chunk_images": chunk_images,
            "chunks": -(-total // chunk_images),
            "options": options.model_dump_json(),
            "metadata": json.dumps(dict(metadata), ensure_ascii=False),
        }
        flat = [part for pair in fields.items() for part in pair]
        return bool(self._call("create", job, self._ttl_s, WINDOW_CHUNKS, *flat))

    def claim(self, lanes: Sequence[Lane] = LANES) -> Claim | None:
        """Claim the next chunk, the first lane first; None if nothing is ready."""
        answer = self._call("claim", self._lease_ms, self._max_attempts, *lanes)
        if answer is None:
            return None
        verdict, job, chunk, token, attempts, items, flat = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Claim(
            verdict=cast(Verdict, verdict),
            chunk=chunk,
            token=int(token),
            attempts=int(attempts),
            items=int(items),
            record=_parse(job, fields),
        )

    def heartbeat(self, claim: Claim) -> bool:
        """Renew the lease. True if the job is being cancelled.

        Raises:
            LeaseLost: another worker may hold the chunk by now.
        """
        state = self._call("heartbeat", claim.job, claim.chunk, claim.token, self._lease_ms)
        if state == 0:
            raise _lost(claim)
        return bool(state == 2)

    def finish(self, claim: Claim, tally: Tally) -> Lane | None:
        """Count a chunk's items, once. Returns the lane in which something became ready.

        Raises:
            LeaseLost: this claim may not commit any more; nothing was counted.
        """
        lost, lane, _ = self._call(
            "finish",
            claim.job,
            claim.chunk,
            claim.token,
            tally.succeeded,
            tally.failed,
            tally.cancelled,
            tally.expired,
        )
        if lost:
            raise _lost(claim)
        return lane or None

    def release(self, claim: Claim, *, delay_s: float = 0.0, counted: bool = True) -> None:
        """Give a claim back. `counted=False`: the fault was not the items'."""
        delay_ms = int(delay_s * 1000)
        self._call("release", claim.job, claim.chunk, claim.token, delay_ms, int(counted))

    def settle(self, claim: Claim, status: JobStatus, *, finished_ms: int) -> None:
        """End a job whose final record is in S3.

        Raises:
            LeaseLost: another worker ends it.
        """
        args = (claim.job, claim.token, status.value, finished_ms, self._ttl_s)
        if not self._call("settle", *args):
            raise _lost(claim)

    def cancel(self, tenant: str, job: str) -> JobRecord | None:
        """Ask for a job's end. None if the tenant has no such job."""
        if self.read(tenant, job) is None:
            return None
        self._call("cancel", job)
        return self.read(tenant, job)

    def read(self, tenant: str, job: str) -> JobRecord | None:
        """A tenant's job; None if it is unknown or belongs to another tenant."""
        with translated():
            fields = cast(dict[str, str], self._client.hgetall(self._keys.job(job)))
        if fields.get("tenant") != tenant:
            return None
        return _parse(job, fields)

    def recent(self, tenant: str, *, limit: int, before: str | None = None) -> list[str]:
        """Ids of a tenant's jobs, newest first, older than `before`."""
        top = f"({before}" if before else "+"
        with translated():
            ids = self._client.zrange(
                self._keys.tenant_jobs(tenant),
                top,
                "-",
                desc=True,
                bylex=True,
                offset=0,
                num=limit,
            )
        return cast(list[str], ids)

    def sweep(self) -> Sweep:
        """Take back expired leases, bring back what has waited long enough."""
        overdue, *ready = self._call("sweep", SWEEP_LIMIT, *LANES)
        return Sweep(int(overdue), dict(zip(LANES, map(int, ready), strict=True)))

    def queued_wake_ups(self, lane: Lane) -> int:
        """Messages of a lane that no worker has taken yet."""
        with translated():
            return int(self._client.llen(self._keys.queue(lane)))

    def ping(self) -> None:
        """Raises RedisUnavailable if Redis does not answer."""
        with translated():
            self._client.ping()


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"the lease of {claim.job} chunk {claim.chunk} was taken by another worker")


def _parse(job: str, fields: Mapping[str, str]) -> JobRecord:
    return JobRecord(
        job=job,
        tenant=fields["tenant"],
        lane=cast(Lane, fields["lane"]),
        status=JobStatus(fields["status"]),
        counts=_counts(fields),
        options=Options.model_validate_json(fields["options"]),
        metadata=json.loads(fields["metadata"]),
        chunk_images=int(fields["chunk_images"]),
        chunks=int(fields["chunks"]),
        created_ms=int(fields["created_ms"]),
        started_ms=_optional_int(fields.get("started_ms")),
        finished_ms=_optional_int(fields.get("finished_ms")),
        cancelling="cancel" in fields,
    )


def _counts(fields: Mapping[str, str]) -> Counts:
    total = int(fields["total"])
    known = {n: int(fields[n]) for n in ("running", "succeeded", "failed", "cancelled", "expired")}
    return Counts(total=total, queued=total - sum(known.values()), **known)


def _optional_int(text: str | None) -> int | None:
    return None if text is None else int(text)


def is_final(chunk: str) -> bool:
    return chunk == FINAL
