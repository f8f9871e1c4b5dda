"""Status of all processes, in Redis: written by workers, read by the front door."""

from __future__ import annotations

import time
from typing import cast

import redis

from guanwu.wire.fleet import Pulse
from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys

LIVE_S = 15  # a process that was silent for this long is gone, or as good as gone


class FleetStatus:
    """Status of each process; it expires when it is not renewed."""

    def __init__(self, client: redis.Redis, keys: RedisKeys) -> None:
        self._client = client
        self._keys = keys

    def publish(self, pulse: Pulse) -> None:
        """Raises RedisUnavailable."""
        name = f"{pulse.host}/{pulse.process}/{pulse.pid}"
        now_s = time.time()
        with translate_errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.set(self._keys.pulse(name), pulse.model_dump_json(), ex=LIVE_S)
            pipe.zadd(self._keys.pulses, {name: now_s})
            pipe.zremrangebyscore(self._keys.pulses, 0, now_s - 4 * LIVE_S)
            pipe.execute()

    def live(self) -> list[Pulse]:
        """By host and process. Raises RedisUnavailable."""
        with translate_errors():
            names = cast(list[str], self._client.zrange(self._keys.pulses, 0, -1))
            bodies = self._client.mget(list(map(self._keys.pulse, names))) if names else []
        pulses = [
            Pulse.model_validate_json(body, extra="ignore") for body in bodies if body is not None
        ]
        return sorted(pulses, key=lambda pulse: (pulse.host, pulse.process, pulse.pid))
