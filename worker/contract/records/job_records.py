"""JobRecords: the truth about jobs and chunks, in Redis.

Every transition is one atomic call of records.lua. A claim carries a lease, which ends
unless heartbeats renew it, and a fencing token: a worker whose lease was taken away
cannot commit (Gray and Cheriton 1989, Leases; the token after Kleppmann 2016).
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any, cast

import redis
from redis.client import Pipeline

from guanwu.wire.base import Lane
from guanwu.wire.fleet import ChunkState
from guanwu.wire.jobs import ItemError
from guanwu.wire.options import Options
from guanwu.wire.requests import JobWebhook, Source
from guanwu.wire.statuses import JobStatus
from worker.contract.errors import LeaseLost, QueueFull, QuotaExceeded
from worker.contract.lanes import LANES, QUEUES, QueueName
from worker.contract.records.connection import translated
from worker.contract.records.job_record import (
    Claim,
    Extended,
    JobRecord,
    Load,
    Reopened,
    Stop,
    Sweep,
    Tally,
    Verdict,
    parse_job,
)
from worker.contract.records.keys import RedisKeys
from worker.contract.records.quota import Allowance
from worker.contract.settings.model import Settings
from worker.contract.webhook import Delivery

SWEEP_LIMIT = 500
PACE_S = 10
PACE_BUCKETS = 6
OVERSPENT = 2  # of `extend`: no lease was lost, but there is no quota left


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
        self._patience_s = settings.redis_timeout_s
        files = resources.files("worker.contract.records")
        lua = "".join(
            files.joinpath(f"{name}.lua").read_text() for name in ("deliveries", "records")
        )
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
        webhook: JobWebhook | None = None,
        shard: str | None = None,
        traceparent: str | None = None,
        allowances: Sequence[Allowance] = (),
    ) -> bool:
        """Record a job and make its first chunks ready. False if it exists already.

        With a `source`, a planner is to write the manifest and `total` grows from 0. `shard`
        is the whole manifest of a job with one chunk, if it is small. The images are counted
        against `allowances`; those of a source when they are planned.

        Raises:
            QueueFull: the tenant or all together have too many images pending.
            QuotaExceeded: an allowance has no room for them.
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
            webhook=webhook,
        )
        told = {"shard": shard, "traceparent": traceparent}
        fields |= {name: text for name, text in told.items() if text is not None}
        fields |= {"chunks": -(-total // chunk_images), "sealed": int(source is None)}
        limits = (self._tenant_images, self._queue_images)
        budget = {self._quota_key(allowance): allowance for allowance in allowances}
        outcome = self._call("create", job, *limits, _budget(budget), *_flat(fields))
        if outcome in ("tenant_full", "queue_full"):
            raise self._full(of_tenant=outcome == "tenant_full")
        if outcome in budget:
            raise self._exceeded(budget[outcome])
        return bool(outcome == "created")

    def check_room(self, tenant: str, images: int, allowances: Sequence[Allowance] = ()) -> None:
        """Look early whether `create` would refuse; changes nothing and promises nothing.

        Raises:
            QueueFull: the tenant or all together have too many images pending.
            QuotaExceeded: an allowance has no room for them.
        """
        fields = [f"tenant:{tenant}", *(f"lane:{lane}" for lane in LANES)]
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.hmget(self._keys.pending, fields)
            if allowances:
                pipe.mget([self._quota_key(allowance) for allowance in allowances])
            (of_tenant, *of_lanes), *counts = pipe.execute()
        spent = (int(count or 0) for count in (counts[0] if counts else ()))
        for allowance, used in zip(allowances, spent, strict=True):
            if not allowance.has_room(images, used=used):
                raise allowance.exceeded(used=used, now=dt.datetime.now(dt.UTC))
        if int(of_tenant or 0) + images > self._tenant_images:
            raise self._full(of_tenant=True)
        if sum(int(n or 0) for n in of_lanes) + images > self._queue_images:
            raise self._full(of_tenant=False)

    def used(self, allowances: Sequence[Allowance]) -> list[int]:
        """Images counted against each allowance so far."""
        if not allowances:
            return []
        with translated():
            counts = self._client.mget([self._quota_key(allowance) for allowance in allowances])
        return [int(count or 0) for count in counts]

    def _quota_key(self, allowance: Allowance) -> str:
        begins = allowance.begins.isoformat()
        return self._keys.quota(allowance.owner, allowance.period, begins)

    def _exceeded(self, allowance: Allowance) -> QuotaExceeded:
        (used,) = self.used([allowance])
        return allowance.exceeded(used=used, now=dt.datetime.now(dt.UTC))

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
            webhook=record.webhook,
        )
        ended = record.counts.model_dump(include={"succeeded", "failed", "cancelled", "expired"})
        fields |= ended | {
            "created_ms": record.created_ms,
            "runs": record.runs,
            "chunks": record.chunks,
            "planned": record.chunks,
            "finished": record.chunks - len(undone),
            "sealed": int(record.sealed),
            "cursor": record.cursor,
        }
        return bool(self._call("restore", record.job, _lines(undone), *_flat(fields)))

    def claim(self, queues: Sequence[QueueName] = QUEUES) -> Claim | None:
        """Claim the next chunk, the first queue first; None if nothing is ready."""
        answer = self._call("claim", self._lease_ms, self._max_attempts, *queues)
        if answer is None:
            return None
        verdict, job, chunk, token, attempts, items, retry, poison, flat, more = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Claim(
            verdict=cast(Verdict, verdict),
            chunk=chunk,
            token=int(token),
            attempts=int(attempts),
            items=int(items),
            record=parse_job(job, fields),
            retry=retry == "1",
            poison=frozenset(int(index) for index in poison.split(",") if index),
            more=cast(QueueName, more) if more else None,
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

    def finish(self, claim: Claim, tally: Tally) -> QueueName | None:
        """Count a chunk's items, once. Returns the queue in which something became ready.

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
            QuotaExceeded: so many images may not be submitted any more; nothing was added.
        """
        args = (claim.job, claim.token, after, chunks, items, cursor, int(sealed))
        refused, queue, ended = self._call("extend", *args)
        if refused == OVERSPENT:
            raise QuotaExceeded(
                "the source holds more images than may be submitted in this day or month; those "
                "before are done, submit the rest when GET /v1/usage says that there is room"
            )
        if refused:
            raise _lost(claim)
        return Extended(queue or None, sealed=bool(ended))

    def seal(self, claim: Claim, error: ItemError | None = None) -> QueueName | None:
        """End planning: there are no more shards, or `error` says why no more come.

        Raises:
            LeaseLost: another planner goes on.
        """
        told = "" if error is None else error.model_dump_json()
        return self._committed(claim, "seal", claim.job, claim.token, told)

    def _committed(self, claim: Claim, command: str, *args: object) -> QueueName | None:
        lost, queue = self._call(command, *args)
        if lost:
            raise _lost(claim)
        return queue or None

    def release(
        self, claim: Claim, *, delay_s: float = 0.0, counted: bool = True
    ) -> QueueName | None:
        """Give a claim back. `counted=False`: the fault was not the images'."""
        args = (claim.job, claim.chunk, claim.token, int(delay_s * 1000), int(counted))
        return self._call("release", *args) or None

    def settle(
        self,
        claim: Claim,
        status: JobStatus,
        *,
        finished_ms: int,
        deliveries: Sequence[Delivery] = (),
    ) -> None:
        """End a job whose final record is in S3, and queue what is to be told of it.

        Raises:
            LeaseLost: another worker ends it.
        """
        told = [part for d in deliveries for part in (d.lane, d.id, d.model_dump_json())]
        args = (claim.job, claim.token, status.value, finished_ms, self._ttl_s, *told)
        if not self._call("settle", *args):
            raise _lost(claim)

    def wait_for_end(self, job: str, *, timeout_s: float) -> bool:
        """Wait until a job ends, at most so long and half as long as one command may take. True
        if it has ended, within the last minute; it may run again by now.

        Raises:
            RedisUnavailable
        """
        wait_ms = max(1, int(1000 * min(timeout_s, self._patience_s / 2)))
        with translated():
            return bool(self._client.xread({self._keys.ended(job): "0"}, count=1, block=wait_ms))

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
        return _of_tenant(tenant, job, fields)

    def look(self, tenant: str, job: str) -> tuple[JobRecord | None, Load]:
        """What `read` and `load` tell, at the cost of one of them."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.hgetall(self._keys.job(job))
            self._ask_load(pipe)
            fields, *told = pipe.execute()
        return _of_tenant(tenant, job, fields), _load(told)

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
        overdue, expired, *ready = self._call("sweep", 0 if look_only else SWEEP_LIMIT, *QUEUES)
        by_queue = dict(zip(QUEUES, map(int, ready), strict=True))
        return Sweep(int(overdue), int(expired), by_queue)

    def load(self) -> Load:
        """How much there is to do, and how fast it is done."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            self._ask_load(pipe)
            return _load(pipe.execute())

    def chunks(self) -> dict[ChunkState, int]:
        """Chunks, planning and closing included, that are ready, claimed or wait to run again."""
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for queue in QUEUES:
                pipe.zcard(self._keys.ready(queue))
            pipe.zcard(self._keys.leases)
            pipe.zcard(self._keys.delayed)
            *ready, claimed, delayed = map(int, pipe.execute())
        return {"ready": sum(ready), "claimed": claimed, "delayed": delayed}

    def memory_bytes(self) -> tuple[int, int]:
        """What Redis holds, and how much it may: its own limit, or all of its machine."""
        with translated():
            told = self._client.info("memory")
        limit = told.get("maxmemory") or told.get("total_system_memory") or 0
        return int(told["used_memory"]), int(limit)

    def _ask_load(self, pipe: Pipeline) -> None:
        bucket = time.time_ns() // (PACE_S * 1_000_000_000)
        paces = [self._keys.pace(bucket - back) for back in range(1, PACE_BUCKETS + 1)]
        pipe.hmget(self._keys.pending, [f"lane:{lane}" for lane in LANES])
        pipe.mget(paces)
        pipe.hmget(self._keys.eta, ["error_sum", "jobs"])

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

    def end_turn(self, what: str) -> None:
        """Whoever needs the next turn may take it now."""
        with translated():
            self._client.delete(self._keys.turn(what))

    def ready(self, queues: Sequence[QueueName]) -> int:
        """Chunks that could be claimed now."""
        with translated():
            return sum(int(self._client.zcard(self._keys.ready(queue))) for queue in queues)

    def queued_wake_ups(self, queue: QueueName) -> int:
        """Messages that no worker has taken yet."""
        with translated():
            return int(self._client.llen(self._keys.queue(queue)))

    def ping(self) -> None:
        """Raises RedisUnavailable if Redis does not answer."""
        with translated():
            self._client.ping()


def _of_tenant(tenant: str, job: str, fields: Mapping[str, str]) -> JobRecord | None:
    return parse_job(job, fields) if fields.get("tenant") == tenant else None


def _load(told: Sequence[Any]) -> Load:
    """What Redis answers to `_ask_load`."""
    pending, finished, (error_sum, jobs) = told
    return Load(
        pending=dict(zip(LANES, (int(n or 0) for n in pending), strict=True)),
        images_per_s=sum(int(n or 0) for n in finished) / (PACE_S * PACE_BUCKETS),
        eta_error=float(error_sum) / int(jobs) if jobs else None,
    )


def _lines(chunks: Sequence[Reopened]) -> str:
    return ",".join(f"{c.number}:{c.items}:{int(c.retry)}" for c in chunks)


def _budget(allowances: Mapping[str, Allowance]) -> str:
    """Allowances by the keys of their counts, as records.lua reads them."""
    return "\n".join(
        f"{key} {-1 if allowance.limit is None else allowance.limit} {allowance.kept_until_ms}"
        for key, allowance in allowances.items()
    )


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
    webhook: JobWebhook | None,
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
    if webhook is not None:
        fields["webhook"] = webhook.model_dump_json()
    return fields


def _flat(fields: Mapping[str, object]) -> list[object]:
    return [part for pair in fields.items() for part in pair]
