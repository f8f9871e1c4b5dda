"""Deliveries to webhooks, in Redis until each has succeeded or is given up.

Lanes are leased as chunks are: a sender that dies loses its lease, another sends again, and
a late write of the first changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, cast

import redis

from guanwu.wire.base import to_ms
from guanwu.wire.webhooks import Attempt
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings
from worker.contract.webhook import Delivery

LOG_ATTEMPTS = 1000  # of one webhook, about
LOG_TTL_S = 7 * 86_400


@dataclass(frozen=True)
class LeasedDelivery:
    """A delivery to be tried now, and the lease on its lane."""

    lane: str
    token: str
    delivery: Delivery


class DeliveryQueue:
    """All reads and writes of deliveries. Safe to share among threads."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._keys = RedisKeys(settings.redis_prefix)
        self._lease_ms = int((settings.webhook_timeout_s * 2 + 10) * 1000)
        lua = resources.files("worker.contract.records").joinpath("deliveries.lua").read_text()
        run = "return hooks[ARGV[1]](unpack(ARGV, 2))"
        self._script = client.register_script(self._keys.lua_preamble() + lua + run)

    def _call(self, command: str, *args: object) -> Any:
        with translate_errors():
            return self._script(args=[command, *map(str, args)])

    def place(self, delivery: Delivery) -> bool:
        """Queue a delivery; False if it is queued already."""
        body, due_ms = delivery.model_dump_json(), to_ms(delivery.created_at)
        return bool(self._call("place", delivery.lane, delivery.id, body, due_ms))

    def take(self, *, limit: int) -> list[LeasedDelivery]:
        """Lease up to `limit` lanes whose next delivery is due."""
        parts = self._call("take", limit, self._lease_ms)
        return [
            LeasedDelivery(lane, token, Delivery.model_validate_json(body, extra="ignore"))
            for lane, token, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        ]

    def put_back(self, taken: LeasedDelivery, *, due_ms: int) -> None:
        """Try it at `due_ms`, with nothing changed."""
        body = taken.delivery.model_dump_json()
        self._call("done", taken.lane, taken.token, taken.delivery.id, body, due_ms)

    def end(self, taken: LeasedDelivery, attempt: Attempt | None) -> None:
        """Record the outcome of a try: an end, or another try at the attempt's `next_try_at`."""
        again, due_ms = "", 0
        if attempt is not None and attempt.next_try_at is not None:
            tried = taken.delivery.model_copy(update={"attempts": attempt.attempt})
            again, due_ms = tried.model_dump_json(), to_ms(attempt.next_try_at)
        held = self._call("done", taken.lane, taken.token, taken.delivery.id, again, due_ms)
        if held and attempt is not None and taken.delivery.webhook is not None:
            self._note(taken.delivery.webhook, attempt)

    def _note(self, webhook: str, attempt: Attempt) -> None:
        key = self._keys.hook_log(webhook)
        with translate_errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.xadd(key, {"attempt": attempt.model_dump_json()}, maxlen=LOG_ATTEMPTS)
            pipe.expire(key, LOG_TTL_S)
            pipe.execute()

    def attempts(
        self, webhook: str, *, limit: int, after: str | None = None
    ) -> tuple[list[Attempt], str | None]:
        """Tries to reach a webhook, newest first, and the beginning of the next page."""
        with translate_errors():
            entries = self._client.xrevrange(
                self._keys.hook_log(webhook), max=f"({after}" if after else "+", count=limit + 1
            )
        rows = cast(list[tuple[str, dict[str, str]]], entries)
        page = [
            Attempt.model_validate_json(fields["attempt"], extra="ignore")
            for _, fields in rows[:limit]
        ]
        return page, rows[limit - 1][0] if len(rows) > limit else None

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Ids of those of these deliveries that are not queued."""
        if not ids:
            return []
        with translate_errors():
            bodies = cast(list[Any], self._client.mget(list(map(self._keys.delivery, ids))))
        return [name for name, body in zip(ids, bodies, strict=True) if body is None]

    def forget_log(self, webhook: str) -> None:
        """Drop the log of a webhook that is deleted."""
        with translate_errors():
            self._client.delete(self._keys.hook_log(webhook))
