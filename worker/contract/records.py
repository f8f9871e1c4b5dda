"""JobRecords: the truth about jobs and chunks, in Redis.

Every transition is one atomic call of records.lua. A claim carries a lease, which ends
unless heartbeats renew it, and a fencing token: a worker whose lease was taken away
cannot commit (Gray and Cheriton 1989, Leases; the token after Kleppmann 2016).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, Literal, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from worker.contract.errors import LeaseLost, QueueFull, RedisUnavailable
from worker.contract.job import Counts, ItemError, JobStatus, Options, Source
from worker.contract.keys import LANES, Lane, RedisKeys
from worker.contract.settings import Settings

Verdict = Literal["run", "retry", "cancelled", "expired", "exhausted", "plan", "finalize"]
Stop = Literal["cancelled", "expired"]
SWEEP_LIMIT = 500
PACE_S = 10
PACE_BUCKETS = 6


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
    started_ms: int | None = None
    finished_ms: int | None = None
    expires_ms: int | None = None
    stop: Stop | None = None
    source: Source | None = None
    sealed: bool = True
    cursor: str = ""
    error: ItemError | None = None

    @property
    def left(self) -> int:
        """Images that still wait or run."""
        return self.counts.queued + self.counts.running


@dataclass(frozen=True)
class Claim:
    """The right to work on one chunk until the lease ends.

    `items` counts the images that are to end: all of the chunk, or those of a retry.
    `poison` are the indices of images that killed workers and must not run again.
    """

    verdict: Verdict
    chunk: str
    token: int
    attempts: int
    items: int
    record: JobRecord
    retry: bool = False
    poison: frozenset[int] = frozenset()

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
    """What adding shards did: the lane in which something became ready; is that all?"""

    lane: Lane | None
    sealed: bool


@dataclass(frozen=True)
class Reopened:
    """A chunk that is to run again; `retry`: only its items that had not succeeded."""

    number: int
    items: int
    retry: bool = False


@dataclass(frozen=True)
class Sweep:
    """What a sweep found: leases taken back, jobs expired, and chunks ready per lane."""

    overdue: int
    expired: int
    ready: dict[Lane, int]


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
        self._tenant_images = settings.max_tenant_images
        self._queue_images = settings.max_queue_images
        self._ttl_s = settings.record_ttl_s
        lua = resources.files("worker.contract").joinpath("records.lua").read_text()
        self._script = client.register_script(self._keys.lua_preamble() + lua)

    @property
    def lease_s(self) -> float:
        """How long a claim stands without a heartbeat."""
        return self._lease_ms / 1000

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
        source: Source | None = None,
        expires_ms: int | None = None,
    ) -> bool:
        """Record a job and make its first chunks ready. False if it exists already.

        With a `source`, a planner is to write the manifest and `total` grows from 0.

        Raises:
            QueueFull: the tenant or all together have too many images pending.
        """
        fields = _static_fields(
            tenant=tenant,
            lane=lane,
            total=total,
            chunk_images=chunk_images,
            options=options,
            metadata=metadata,
            source=source,
            expires_ms=expires_ms,
        )
        fields |= {"chunks": -(-total // chunk_images), "sealed": int(source is None)}
        limits = (self._tenant_images, self._queue_images)
        outcome, _ = self._call("create", job, *limits, *_flat(fields))
        if outcome in ("tenant_full", "queue_full"):
            raise self._full(of_tenant=outcome == "tenant_full")
        return bool(outcome == "created")

    def check_room(self, tenant: str, images: int) -> None:
        """Look early whether `create` would refuse; changes nothing and promises nothing.

        Raises:
            QueueFull: the tenant or all together have too many images pending.
        """
        with translated():
            fields = [f"tenant:{tenant}", *(f"lane:{lane}" for lane in LANES)]
            of_tenant, *of_lanes = self._client.hmget(self._keys.pending, fields)
        if int(of_tenant or 0) + images > self._tenant_images:
            raise self._full(of_tenant=True)
        if sum(int(n or 0) for n in of_lanes) + images > self._queue_images:
            raise self._full(of_tenant=False)

    def _full(self, *, of_tenant: bool) -> QueueFull:
        whose = "your" if of_tenant else "the"
        limit = self._tenant_images if of_tenant else self._queue_images
        return QueueFull(f"{whose} queue holds up to {limit:,} images; wait until some are done")

    def restore(self, record: JobRecord, undone: Sequence[Reopened]) -> bool:
        """Record a job that Redis has lost, as its objects tell. False if it is here.

        `undone` are the chunks without results among the `record.chunks` that are planned.
        """
        fields = _static_fields(
            tenant=record.tenant,
            lane=record.lane,
            total=record.counts.total,
            chunk_images=record.chunk_images,
            options=record.options,
            metadata=record.metadata,
            source=record.source,
            expires_ms=record.expires_ms,
        )
        ended = record.counts.model_dump(include={"succeeded", "failed", "cancelled", "expired"})
        fields |= ended | {
            "created_ms": record.created_ms,
            "chunks": record.chunks,
            "planned": record.chunks,
            "finished": record.chunks - len(undone),
            "sealed": int(record.sealed),
            "cursor": record.cursor,
        }
        return bool(self._call("restore", record.job, _lines(undone), *_flat(fields)))

    def claim(self, lanes: Sequence[Lane] = LANES) -> Claim | None:
        """Claim the next chunk, the first lane first; None if nothing is ready."""
        answer = self._call("claim", self._lease_ms, self._max_attempts, *lanes)
        if answer is None:
            return None
        verdict, job, chunk, token, attempts, items, retry, poison, flat = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Claim(
            verdict=cast(Verdict, verdict),
            chunk=chunk,
            token=int(token),
            attempts=int(attempts),
            items=int(items),
            record=_parse(job, fields),
            retry=retry == "1",
            poison=frozenset(int(index) for index in poison.split(",") if index),
        )

    def heartbeat(self, claim: Claim) -> Stop | None:
        """Renew the lease. Says why the job is to stop, if it is.

        Raises:
            LeaseLost: another worker may hold the chunk by now.
        """
        state = self._call("heartbeat", claim.job, claim.chunk, claim.token, self._lease_ms)
        if state == "lost":
            raise _lost(claim)
        return None if state == "held" else cast(Stop, state)

    def suspect(self, claim: Claim, index: int) -> None:
        """Say which image runs alone now: if the worker dies of it, it is to blame.

        Raises:
            LeaseLost: another worker may hold the chunk by now.
        """
        if not self._call("suspect", claim.job, claim.chunk, claim.token, index):
            raise _lost(claim)

    def finish(self, claim: Claim, tally: Tally) -> Lane | None:
        """Count a chunk's items, once. Returns the lane in which something became ready.

        Raises:
            LeaseLost: this claim may not commit any more; nothing was counted.
        """
        counts = (tally.succeeded, tally.failed, tally.cancelled, tally.expired)
        return self._committed(claim, "finish", claim.job, claim.chunk, claim.token, *counts)

    def extend(
        self,
        claim: Claim,
        *,
        after: int,
        chunks: int,
        items: int,
        cursor: str,
        sealed: bool,
    ) -> Extended:
        """Add shards that stand in S3 already, and move the planner's cursor behind them.

        `after` is the number of shards before them. All shards but a job's last hold
        `chunk_images` items. `sealed` says there are no more; a job that is to stop takes
        none and is sealed.

        Raises:
            LeaseLost: another planner goes on from the cursor; nothing was added.
        """
        args = (claim.job, claim.token, after, chunks, items, cursor, int(sealed))
        lost, lane, ended = self._call("extend", *args)
        if lost:
            raise _lost(claim)
        return Extended(lane or None, sealed=bool(ended))

    def seal(self, claim: Claim, error: ItemError | None = None) -> Lane | None:
        """End planning: there are no more shards, or `error` says why no more come.

        Raises:
            LeaseLost: another planner goes on.
        """
        told = "" if error is None else error.model_dump_json()
        return self._committed(claim, "seal", claim.job, claim.token, told)

    def _committed(self, claim: Claim, command: str, *args: object) -> Lane | None:
        lost, lane = self._call(command, *args)
        if lost:
            raise _lost(claim)
        return lane or None

    def release(self, claim: Claim, *, delay_s: float = 0.0, counted: bool = True) -> Lane | None:
        """Give a claim back. `counted=False`: the fault was not the images'."""
        args = (claim.job, claim.chunk, claim.token, int(delay_s * 1000), int(counted))
        return self._call("release", *args) or None

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
        self._call("stop", job, "cancelled")
        return self.read(tenant, job)

    def reopen(self, tenant: str, job: str, tally: Tally, chunks: Sequence[Reopened]) -> bool:
        """Run chunks of a finished job again. False unless the tenant has such a job.

        `tally` counts the items that return to the queue, by how they had ended.
        """
        if self.read(tenant, job) is None:
            return False
        counts = (tally.failed, tally.cancelled, tally.expired)
        again = _lines([replace(chunk, retry=True) for chunk in chunks])
        return bool(self._call("reopen", job, *counts, again))

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

    def sweep(self, *, look_only: bool = False) -> Sweep:
        """Take back expired leases, bring back what has waited long enough.

        `look_only` changes nothing and only counts what is ready.
        """
        overdue, expired, *ready = self._call("sweep", 0 if look_only else SWEEP_LIMIT, *LANES)
        by_lane = dict(zip(LANES, map(int, ready), strict=True))
        return Sweep(int(overdue), int(expired), by_lane)

    def load(self) -> Load:
        """How much there is to do, and how fast it is done."""
        bucket = time.time_ns() // (PACE_S * 1_000_000_000)
        paces = [self._keys.pace(bucket - back) for back in range(1, PACE_BUCKETS + 1)]
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.hmget(self._keys.pending, [f"lane:{lane}" for lane in LANES])
            pipe.mget(paces)
            pipe.hmget(self._keys.eta, ["error_sum", "jobs"])
            pending, finished, (error_sum, jobs) = pipe.execute()
        return Load(
            pending=dict(zip(LANES, (int(n or 0) for n in pending), strict=True)),
            images_per_s=sum(int(n or 0) for n in finished) / (PACE_S * PACE_BUCKETS),
            eta_error=float(error_sum) / int(jobs) if jobs else None,
        )

    def forget(self, tenant: str, job: str) -> None:
        """Drop a finished job's record and its place in the tenant's list."""
        with translated():
            self._client.delete(self._keys.job(job))
            self._client.zrem(self._keys.tenant_jobs(tenant), job)

    def take_turn(self, what: str, *, every_s: float) -> bool:
        """True for one caller of all processes, once in `every_s`: for work that needs one."""
        with translated():
            key = self._keys.turn(what)
            return bool(self._client.set(key, "1", nx=True, px=int(every_s * 1000)))

    def ready(self) -> dict[Lane, int]:
        """Chunks that could be claimed now, by lane."""
        with translated():
            return {lane: int(self._client.zcard(self._keys.ready(lane))) for lane in LANES}

    def queued_wake_ups(self, lane: Lane) -> int:
        """Messages of a lane that no worker has taken yet."""
        with translated():
            return int(self._client.llen(self._keys.queue(lane)))

    def ping(self) -> None:
        """Raises RedisUnavailable if Redis does not answer."""
        with translated():
            self._client.ping()


def _lines(chunks: Sequence[Reopened]) -> str:
    return ",".join(f"{c.number}:{c.items}:{int(c.retry)}" for c in chunks)


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"the lease of {claim.job} chunk {claim.chunk} was taken by another worker")


def _static_fields(
    *,
    tenant: str,
    lane: Lane,
    total: int,
    chunk_images: int,
    options: Options,
    metadata: Mapping[str, Any],
    source: Source | None,
    expires_ms: int | None,
) -> dict[str, object]:
    """What a job's hash says from the beginning."""
    fields: dict[str, object] = {
        "tenant": tenant,
        "lane": lane,
        "total": total,
        "chunk_images": chunk_images,
        "options": options.model_dump_json(),
        "metadata": json.dumps(dict(metadata), ensure_ascii=False),
    }
    if source is not None:
        fields["source"] = source.model_dump_json()
    if expires_ms is not None:
        fields["expires_ms"] = expires_ms
    return fields


def _flat(fields: Mapping[str, object]) -> list[object]:
    return [part for pair in fields.items() for part in pair]


def _parse(job: str, fields: Mapping[str, str]) -> JobRecord:
    source, error = fields.get("source"), fields.get("error")
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
        expires_ms=_optional_int(fields.get("expires_ms")),
        stop=cast(Stop | None, fields.get("stop")),
        source=None if source is None else Source.model_validate_json(source),
        sealed=fields["sealed"] == "1",
        cursor=fields["cursor"],
        error=None if error is None else ItemError.model_validate_json(error),
    )


def _counts(fields: Mapping[str, str]) -> Counts:
    total = int(fields["total"])
    known = {n: int(fields[n]) for n in ("running", "succeeded", "failed", "cancelled", "expired")}
    return Counts(total=total, queued=total - sum(known.values()), **known)


def _optional_int(text: str | None) -> int | None:
    return None if text is None else int(text)
