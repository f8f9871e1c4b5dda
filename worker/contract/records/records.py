"""All records in Redis behind one client: jobs, claims, the queue, turns."""

from __future__ import annotations

import redis

from worker.contract.records.chunk_claims import ChunkClaims
from worker.contract.records.connection import translate_errors
from worker.contract.records.job_records import JobRecords
from worker.contract.records.keys import RedisKeys
from worker.contract.records.queue_load import QueueLoad
from worker.contract.records.script import LuaScript
from worker.contract.records.turns import Turns
from worker.contract.settings.model import Settings


class Records:
    """One door to what Redis holds of jobs. Safe to share among threads."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        keys = RedisKeys(settings.redis_prefix)
        script = LuaScript(client, keys)
        self._client = client
        self.queue = QueueLoad(script, settings)
        self.jobs = JobRecords(script, self.queue, settings)
        self.claims = ChunkClaims(script, settings)
        self.turns = Turns(client, keys)

    def memory_bytes(self) -> tuple[int, int]:
        """Memory in use, and its limit: Redis's own, or all of its machine."""
        with translate_errors():
            memory = self._client.info("memory")
        limit = memory.get("maxmemory") or memory.get("total_system_memory") or 0
        return int(memory["used_memory"]), int(limit)

    def ping(self) -> None:
        """Raises RedisUnavailable if Redis does not answer."""
        with translate_errors():
            self._client.ping()
