"""JobRecords: the truth about jobs, in Redis.

Every transition is one atomic call of the script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from worker.contract.records.connection import translate_errors
from worker.contract.records.job_record import (
    JobRecord,
    Load,
    Reopened,
    Tally,
    from_fields,
    to_fields,
)
from worker.contract.records.queue_load import QueueLoad, parse_load, request_load
from worker.contract.records.quota import Allowance
from worker.contract.records.script import LuaScript
from worker.contract.settings.model import Settings

_SUBMITTED = (
    *("tenant", "lane", "total", "chunk_images", "chunks", "options", "metadata", "source"),
    *("sealed", "expires_ms", "webhook", "shard", "traceparent"),
)
"""Fields that a new job brings along; the script writes the others."""

_ENDED = ("succeeded", "failed", "cancelled", "expired")
_RESTORED = (*_SUBMITTED, *_ENDED, "created_ms", "runs", "cursor")


class JobRecords:
    """All reads and writes of jobs' records, but for what claims change."""

    def __init__(self, script: LuaScript, queue: QueueLoad, settings: Settings) -> None:
        self._script = script
        self._client = script.client
        self._keys = script.keys
        self._queue = queue
        self._max_wait_s = settings.redis_timeout_s / 2

    def create(self, record: JobRecord, allowances: Sequence[Allowance] = ()) -> bool:
        """Record a job and make its first chunks ready. False if it exists already.

        With a `source`, a planner is to write the manifest and the total grows from 0. The
        images are counted against `allowances`; those of a source when they are planned. The
        time of creation is that of Redis.

        Raises:
            QueueFull: the tenant or all together have too many images pending.
            QuotaExceeded: an allowance has no room for them.
        """
        budget = {self._queue.quota_key(allowance): allowance for allowance in allowances}
        limits = self._queue.limits
        fields = _flatten(to_fields(record), _SUBMITTED)
        outcome = self._script.call("create", record.job, *limits, _budget(budget), *fields)
        if outcome in ("tenant_full", "queue_full"):
            raise self._queue.full(of_tenant=outcome == "tenant_full")
        if outcome in budget:
            raise self._queue.exceeded(budget[outcome])
        return bool(outcome == "created")

    def restore(self, record: JobRecord, undone: Sequence[Reopened]) -> bool:
        """Record a job that Redis has lost, as its objects tell. False if it is here.

        `undone` are the chunks without results among the `record.chunks` that are planned.
        """
        progress = {"planned": record.chunks, "finished": record.chunks - len(undone)}
        fields = to_fields(record) | {name: str(count) for name, count in progress.items()}
        flat = _flatten(fields, (*_RESTORED, *progress))
        return bool(self._script.call("restore", record.job, _lines(undone), *flat))

    def read(self, tenant: str, job: str) -> JobRecord | None:
        """A tenant's job; None if it is unknown or belongs to another tenant."""
        with translate_errors():
            fields = cast(dict[str, str], self._client.hgetall(self._keys.job(job)))
        return _of_tenant(tenant, job, fields)

    def look(self, tenant: str, job: str) -> tuple[JobRecord | None, Load]:
        """A tenant's job and the load of all workers, in one round trip."""
        with translate_errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.hgetall(self._keys.job(job))
            request_load(pipe, self._keys)
            fields, *load = pipe.execute()
        return _of_tenant(tenant, job, fields), parse_load(load)

    def recent(self, tenant: str, *, limit: int, before: str | None = None) -> list[str]:
        """Ids of a tenant's jobs, newest first, older than `before`."""
        top = f"({before}" if before else "+"
        with translate_errors():
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

    def wait_for_end(self, job: str, *, timeout_s: float) -> bool:
        """Wait until a job ends, at most so long and half as long as one command may take. True
        if it has ended, within the last minute; it may run again by now.

        Raises:
            RedisUnavailable
        """
        wait_ms = max(1, int(1000 * min(timeout_s, self._max_wait_s)))
        with translate_errors():
            return bool(self._client.xread({self._keys.ended(job): "0"}, count=1, block=wait_ms))

    def cancel(self, tenant: str, job: str) -> JobRecord | None:
        """Ask for a job's end. None if the tenant has no such job."""
        if self.read(tenant, job) is None:
            return None
        self._script.call("stop", job, "cancelled")
        return self.read(tenant, job)

    def reopen(self, tenant: str, job: str, tally: Tally, chunks: Sequence[Reopened]) -> bool:
        """Run chunks of a finished job again. False unless the tenant has such a job.

        `tally` counts the items that return to the queue, by how they had ended.
        """
        if self.read(tenant, job) is None:
            return False
        counts = (tally.failed, tally.cancelled, tally.expired)
        again = _lines([replace(chunk, retry=True) for chunk in chunks])
        return bool(self._script.call("reopen", job, *counts, again))

    def forget(self, tenant: str, job: str) -> None:
        """Drop a finished job's record and its place in the tenant's list."""
        with translate_errors():
            self._client.delete(self._keys.job(job))
            self._client.zrem(self._keys.tenant_jobs(tenant), job)


def _of_tenant(tenant: str, job: str, fields: Mapping[str, str]) -> JobRecord | None:
    return from_fields(job, fields) if fields.get("tenant") == tenant else None


def _lines(chunks: Sequence[Reopened]) -> str:
    """Chunks as the script's `push_reopened` takes them."""
    return ",".join(f"{c.number}:{c.items}:{int(c.retry)}" for c in chunks)


def _budget(allowances: Mapping[str, Allowance]) -> str:
    """Allowances by the keys of their counts, as the script reads them."""
    return "\n".join(
        f"{key} {-1 if allowance.limit is None else allowance.limit} {allowance.kept_until_ms}"
        for key, allowance in allowances.items()
    )


def _flatten(fields: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """Names and values of those of the fields that there are."""
    return [part for name in names if name in fields for part in (name, fields[name])]
