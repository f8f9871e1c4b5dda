"""Turns: work that one of all processes does, once in a while."""

from __future__ import annotations

import redis

from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys


class Turns:
    """A turn is a key that expires: the process that writes it first has the turn."""

    def __init__(self, client: redis.Redis, keys: RedisKeys) -> None:
        self._client = client
        self._keys = keys

    def take(self, work: str, *, every_s: float) -> bool:
        """True for one caller of all processes, once in `every_s`."""
        with translate_errors():
            key = self._keys.turn(work)
            return bool(self._client.set(key, "1", nx=True, px=int(every_s * 1000)))

    def end(self, work: str) -> None:
        """Let whoever needs the next turn take it now."""
        with translate_errors():
            self._client.delete(self._keys.turn(work))
