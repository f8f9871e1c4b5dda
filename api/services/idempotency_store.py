"""What Redis remembers of requests that came with an Idempotency-Key."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from dataclasses import dataclass
from importlib import resources
from typing import Any

import redis

from guanwu.wire.base import from_ms
from worker.contract.errors import IdempotencyInFlight, IdempotencyKeyReused, RedisUnavailable
from worker.contract.records.connection import translated
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings

LEASE_S = 30.0  # longer than one call of the store that fails by its own timeouts


@dataclass(frozen=True)
class Mark:
    """A request's hold on a key.

    Attributes:
        made: the id of the one job or feedback that the key stands for.
        taken_over: an earlier request began, and nobody knows how far it came.
        answer: what the key's request was answered; None while there is no answer.
    """

    name: str
    token: str
    made: str
    expires_at: dt.datetime
    taken_over: bool
    answer: str | None


class IdempotencyMarks:
    """Marks of all tenants. One Lua call a step, so that of many requests one begins."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._keys = RedisKeys(settings.redis_prefix)
        self._ttl_ms = settings.idempotency_ttl_s * 1000
        lua = resources.files("api.services").joinpath("idempotency.lua").read_text()
        self._script = client.register_script(lua)

    def _call(self, mark: str, command: str, *args: object) -> Any:
        with translated():
            return self._script(keys=[mark], args=[command, *map(str, args)])

    def begin(self, tenant: str, key: str, *, payload: str, made: str) -> Mark:
        """Take hold of a key, or find its answer. A new key will stand for `made`.

        Raises:
            IdempotencyKeyReused: the key came with another payload before.
            IdempotencyInFlight: an earlier request with it is being worked on.
        """
        name, token = self._keys.idempotency(tenant, key), secrets.token_hex(8)
        outcome, own, expires_ms, answer = self._call(
            name, "begin", payload, made, token, int(LEASE_S * 1000), self._ttl_ms
        )
        expires_at = from_ms(int(expires_ms))
        if outcome == "other_payload":
            raise IdempotencyKeyReused(
                "this Idempotency-Key came with another body before; send a new key with a new "
                f"request, this one is free again at {expires_at:%Y-%m-%dT%H:%M:%SZ}"
            )
        if outcome == "in_flight":
            raise in_flight()
        return Mark(name, token, own, expires_at, outcome == "taken_over", answer or None)

    def renew(self, mark: Mark) -> None:
        """Make sure that the key is still held, for another `LEASE_S`.

        Raises:
            IdempotencyInFlight: this request took so long that another goes on in its place.
        """
        if not self._call(mark.name, "renew", mark.token, int(LEASE_S * 1000)):
            raise in_flight()

    def answer(self, mark: Mark, answer: str) -> None:
        """Keep the answer. If Redis is away just now, the next request finds what was made."""
        with contextlib.suppress(RedisUnavailable):
            self._call(mark.name, "answer", mark.token, answer)

    def give_up(self, mark: Mark, *, forget: bool) -> None:
        """Let the next request go on at once. `forget`: surely nothing was made, any payload
        may come now."""
        with contextlib.suppress(RedisUnavailable):
            self._call(mark.name, "forget" if forget else "release", mark.token)


def in_flight() -> IdempotencyInFlight:
    return IdempotencyInFlight(
        "an earlier request with this Idempotency-Key is still being answered; send it again "
        "after Retry-After seconds"
    )
