"""ChunkClaims: the right to work on a chunk, and what came of it.

A claim carries a lease, which ends unless heartbeats renew it, and a fencing token: a worker
whose lease was taken away cannot commit (Gray and Cheriton 1989, Leases; the token after
Kleppmann 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from guanwu.wire.jobs import ItemError
from guanwu.wire.statuses import JobStatus
from worker.contract.errors import LeaseLost, QuotaExceeded
from worker.contract.lanes import QUEUES, QueueName
from worker.contract.records.job_record import (
    Claim,
    ClaimAction,
    Extended,
    Stop,
    Tally,
    from_fields,
)
from worker.contract.records.script import LuaScript
from worker.contract.settings.model import Settings
from worker.contract.webhook import Delivery

OVERSPENT = 2  # of `extend`: no lease was lost, but there is no quota left


class ChunkClaims:
    """All that a worker writes of chunks, and of the jobs that end with them."""

    def __init__(self, script: LuaScript, settings: Settings) -> None:
        self._script = script
        self._lease_ms = int(settings.lease_s * 1000)
        self._max_attempts = settings.max_attempts
        self._ttl_s = settings.record_ttl_s

    @property
    def lease_s(self) -> float:
        """Length of a lease: the time that a claim lasts without a heartbeat."""
        return self._lease_ms / 1000

    def claim(self, queues: Sequence[QueueName] = QUEUES) -> Claim | None:
        """Claim the next chunk, the first queue first; None if nothing is ready."""
        answer = self._script.call("claim", self._lease_ms, self._max_attempts, *queues)
        if answer is None:
            return None
        action, job, chunk, token, attempts, items, retry, poison, flat, more = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Claim(
            action=cast(ClaimAction, action),
            chunk=chunk,
            token=int(token),
            attempts=int(attempts),
            items=int(items),
            record=from_fields(job, fields),
            retry=retry == "1",
            poison=frozenset(int(index) for index in poison.split(",") if index),
            more=cast(QueueName, more) if more else None,
        )

    def heartbeat(self, claim: Claim) -> Stop | None:
        """Renew the lease. Says why the job is to stop, if it is.

        Raises:
            LeaseLost: another worker may hold the chunk by now.
        """
        state = self._script.call("heartbeat", claim.job, claim.chunk, claim.token, self._lease_ms)
        if state == "lost":
            raise _lost(claim)
        return None if state == "held" else cast(Stop, state)

    def suspect(self, claim: Claim, index: int) -> None:
        """Say which image runs alone now: if the worker dies of it, it is to blame.

        Raises:
            LeaseLost: another worker may hold the chunk by now.
        """
        if not self._script.call("suspect", claim.job, claim.chunk, claim.token, index):
            raise _lost(claim)

    def finish(self, claim: Claim, tally: Tally) -> QueueName | None:
        """Count a chunk's items, once. Returns the queue in which something became ready.

        Raises:
            LeaseLost: this claim may not commit any more; nothing was counted.
        """
        counts = (tally.succeeded, tally.failed, tally.cancelled, tally.expired)
        return self._commit(claim, "finish", claim.job, claim.chunk, claim.token, *counts)

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
        """Add shards that are in S3 already, and move the planner's cursor behind them.

        `after` is the number of shards before them. All shards but a job's last hold
        `chunk_images` items. `sealed` says there are no more; a job that is to stop takes
        none and is sealed.

        Raises:
            LeaseLost: another planner goes on from the cursor; nothing was added.
            QuotaExceeded: so many images may not be submitted any more; nothing was added.
        """
        args = (claim.job, claim.token, after, chunks, items, cursor, int(sealed))
        refused, queue, ended = self._script.call("extend", *args)
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
        reason = "" if error is None else error.model_dump_json()
        return self._commit(claim, "seal", claim.job, claim.token, reason)

    def release(
        self, claim: Claim, *, delay_s: float = 0.0, counted: bool = True
    ) -> QueueName | None:
        """Give a claim back. `counted=False`: the fault was not the images'."""
        args = (claim.job, claim.chunk, claim.token, int(delay_s * 1000), int(counted))
        return self._script.call("release", *args) or None

    def settle(
        self,
        claim: Claim,
        status: JobStatus,
        *,
        finished_ms: int,
        deliveries: Sequence[Delivery] = (),
    ) -> None:
        """End a job whose final record is in S3, and queue the deliveries that tell of it.

        Raises:
            LeaseLost: another worker ends it.
        """
        parts = [part for d in deliveries for part in (d.lane, d.id, d.model_dump_json())]
        args = (claim.job, claim.token, status.value, finished_ms, self._ttl_s, *parts)
        if not self._script.call("settle", *args):
            raise _lost(claim)

    def _commit(self, claim: Claim, command: str, *args: object) -> QueueName | None:
        lost, queue = self._script.call(command, *args)
        if lost:
            raise _lost(claim)
        return queue or None


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"the lease of {claim.job} chunk {claim.chunk} was taken by another worker")
