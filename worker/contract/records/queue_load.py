"""QueueLoad: pending work, throughput, quotas and room for more."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import Any

from redis.client import Pipeline

from guanwu.wire.fleet import ChunkState
from worker.contract.errors import QueueFull, QuotaExceeded
from worker.contract.lanes import LANES, QUEUES, QueueName
from worker.contract.records.connection import translate_errors
from worker.contract.records.job_record import Load, Sweep
from worker.contract.records.keys import RedisKeys
from worker.contract.records.quota import Allowance
from worker.contract.records.script import LuaScript
from worker.contract.settings.model import Settings

SWEEP_LIMIT = 500
PACE_S = 10
PACE_BUCKETS = 6


class QueueLoad:
    """Counts of all jobs together: pending images, ready chunks, quotas, wake-ups."""

    def __init__(self, script: LuaScript, settings: Settings) -> None:
        self._script = script
        self._client = script.client
        self._keys = script.keys
        self._tenant_images = settings.max_tenant_images
        self._queue_images = settings.max_queue_images

    @property
    def limits(self) -> tuple[int, int]:
        """Most pending images: of a tenant, and of all together."""
        return self._tenant_images, self._queue_images

    def load(self) -> Load:
        """Pending images and throughput of all workers together."""
        with translate_errors():
            pipe = self._client.pipeline(transaction=False)
            request_load(pipe, self._keys)
            return parse_load(pipe.execute())

    def chunks(self) -> dict[ChunkState, int]:
        """Chunks, planning and closing included, that are ready, claimed or wait to run again."""
        with translate_errors():
            pipe = self._client.pipeline(transaction=False)
            for queue in QUEUES:
                pipe.zcard(self._keys.ready(queue))
            pipe.zcard(self._keys.leases)
            pipe.zcard(self._keys.delayed)
            *ready, claimed, delayed = map(int, pipe.execute())
        return {"ready": sum(ready), "claimed": claimed, "delayed": delayed}

    def ready(self, queues: Sequence[QueueName]) -> int:
        """Chunks that could be claimed now."""
        with translate_errors():
            return sum(int(self._client.zcard(self._keys.ready(queue))) for queue in queues)

    def sweep(self, *, look_only: bool = False) -> Sweep:
        """Take back expired leases, bring back what has waited long enough.

        `look_only` changes nothing and only counts what is ready.
        """
        limit = 0 if look_only else SWEEP_LIMIT
        overdue, expired, *ready = self._script.call("sweep", limit, *QUEUES)
        by_queue = dict(zip(QUEUES, map(int, ready), strict=True))
        return Sweep(int(overdue), int(expired), by_queue)

    def queued_wake_ups(self, queue: QueueName) -> int:
        """Messages that no worker has taken yet."""
        with translate_errors():
            return int(self._client.llen(self._keys.queue(queue)))

    def check_room(self, tenant: str, images: int, allowances: Sequence[Allowance] = ()) -> None:
        """Look early whether a new job would be refused; changes and promises nothing.

        Raises:
            QueueFull: the tenant or all together have too many images pending.
            QuotaExceeded: an allowance has no room for them.
        """
        fields = [f"tenant:{tenant}", *(f"lane:{lane}" for lane in LANES)]
        with translate_errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.hmget(self._keys.pending, fields)
            if allowances:
                pipe.mget([self.quota_key(allowance) for allowance in allowances])
            (of_tenant, *of_lanes), *counts = pipe.execute()
        spent = (int(count or 0) for count in (counts[0] if counts else ()))
        for allowance, used in zip(allowances, spent, strict=True):
            if not allowance.has_room(images, used=used):
                raise allowance.exceeded(used=used, now=dt.datetime.now(dt.UTC))
        if int(of_tenant or 0) + images > self._tenant_images:
            raise self.full(of_tenant=True)
        if sum(int(n or 0) for n in of_lanes) + images > self._queue_images:
            raise self.full(of_tenant=False)

    def used(self, allowances: Sequence[Allowance]) -> list[int]:
        """Images counted against each allowance so far."""
        if not allowances:
            return []
        with translate_errors():
            counts = self._client.mget([self.quota_key(allowance) for allowance in allowances])
        return [int(count or 0) for count in counts]

    def quota_key(self, allowance: Allowance) -> str:
        """The key that counts against an allowance."""
        begins = allowance.begins.isoformat()
        return self._keys.quota(allowance.owner, allowance.period, begins)

    def exceeded(self, allowance: Allowance) -> QuotaExceeded:
        """The error of a job for which an allowance has no room."""
        (used,) = self.used([allowance])
        return allowance.exceeded(used=used, now=dt.datetime.now(dt.UTC))

    def full(self, *, of_tenant: bool) -> QueueFull:
        """The error of a job for which a queue has no room."""
        whose = "your" if of_tenant else "the"
        limit = self._tenant_images if of_tenant else self._queue_images
        return QueueFull(f"{whose} queue holds up to {limit:,} images; wait until some are done")


def request_load(pipe: Pipeline, keys: RedisKeys) -> None:
    """Queue the commands whose answers `parse_load` reads."""
    bucket = time.time_ns() // (PACE_S * 1_000_000_000)
    pipe.hmget(keys.pending, [f"lane:{lane}" for lane in LANES])
    pipe.mget([keys.pace(bucket - back) for back in range(1, PACE_BUCKETS + 1)])
    pipe.hmget(keys.eta, ["error_sum", "jobs"])


def parse_load(answers: Sequence[Any]) -> Load:
    """Read Redis's answers to `request_load`."""
    pending, finished, (error_sum, jobs) = answers
    return Load(
        pending=dict(zip(LANES, (int(n or 0) for n in pending), strict=True)),
        images_per_s=sum(int(n or 0) for n in finished) / (PACE_S * PACE_BUCKETS),
        eta_error=float(error_sum) / int(jobs) if jobs else None,
    )
