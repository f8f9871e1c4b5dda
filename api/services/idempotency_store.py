"""Redis store of Idempotency-Keys and their answers."""

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
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings

LEASE_S = 30.0  # longer than one call of the store that fails by its own timeouts


@dataclass(frozen=True)
class IdempotencyClaim:
    """A request's claim to a key.

    Attributes:
        resource_id: the id of the one job or feedback that the key stands for.
        taken_over: an earlier request began, and nobody knows how far it came.
        answer: what the key's request was answered; None while there is no answer.
    """

    name: str
    token: str
    resource_id: str
    expires_at: dt.datetime
    taken_over: bool
    answer: str | None


class IdempotencyStore:
    """Claims of all tenants. One Lua call a step, so that of many requests one begins."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._keys = RedisKeys(settings.redis_prefix)
        self._ttl_ms = settings.idempotency_ttl_s * 1000
        lua = resources.files("api.services").joinpath("idempotency.lua").read_text()
        self._script = client.register_script(lua)

    def _call(self, name: str, command: str, *args: object) -> Any:
        with translate_errors():
            return self._script(keys=[name], args=[command, *map(str, args)])

    def begin(self, tenant: str, key: str, *, payload: str, new_id: str) -> IdempotencyClaim:
        """Claim a key, or find its answer. A new key will stand for `new_id`.

        Raises:
            IdempotencyKeyReused: the key came with another payload before.
            IdempotencyInFlight: an earlier request with it is still being answered.
        """
        name, token = self._keys.idempotency(tenant, key), secrets.token_hex(8)
        outcome, own, expires_ms, answer = self._call(
            name, "begin", payload, new_id, token, int(LEASE_S * 1000), self._ttl_ms
        )
        expires_at = from_ms(int(expires_ms))
        if outcome == "other_payload":
            raise IdempotencyKeyReused(
                "this Idempotency-Key came with another body before; send a new key with a new "
                f"request, this one is free again at {expires_at:%Y-%m-%dT%H:%M:%SZ}"
            )
        if outcome == "in_flight":
            raise _in_flight()
        taken_over = outcome == "taken_over"
        return IdempotencyClaim(name, token, own, expires_at, taken_over, answer or None)

    def renew(self, claim: IdempotencyClaim) -> None:
        """Make sure that the key is still held, for another `LEASE_S`.

        Raises:
            IdempotencyInFlight: this request took so long that another goes on in its place.
        """
        if not self._call(claim.name, "renew", claim.token, int(LEASE_S * 1000)):
            raise _in_flight()

    def answer(self, claim: IdempotencyClaim, answer: str) -> None:
        """Keep the answer. If Redis is away just now, the next request finds what was made."""
        with contextlib.suppress(RedisUnavailable):
            self._call(claim.name, "answer", claim.token, answer)

    def give_up(self, claim: IdempotencyClaim, *, forget: bool) -> None:
        """Let the next request go on at once. `forget`: surely nothing was made, any payload
        may come now."""
        with contextlib.suppress(RedisUnavailable):
            self._call(claim.name, "forget" if forget else "release", claim.token)


def _in_flight() -> IdempotencyInFlight:
    return IdempotencyInFlight(
        "an earlier request with this Idempotency-Key is still being answered; send it again "
        "after Retry-After seconds"
    )
