"""The Lua script behind job and chunk records: each command is one atomic call."""

from __future__ import annotations

from importlib import resources
from typing import Any

import redis

from worker.contract.records.connection import translate_errors
from worker.contract.records.keys import RedisKeys

FILES = ("deliveries", "hashes", "planning", "jobs", "claims", "sweep")
"""Parts of the script, each after those whose functions it calls."""

_RUN = "return command[ARGV[1]](unpack(ARGV, 2))"


class LuaScript:
    """Commands of the script, the keys that it writes and their client. Safe among threads."""

    def __init__(self, client: redis.Redis, keys: RedisKeys) -> None:
        self.client = client
        self.keys = keys
        folder = resources.files("worker.contract.records")
        parts = [folder.joinpath(f"{name}.lua").read_text() for name in FILES]
        self._script = client.register_script("\n".join([keys.lua_preamble(), *parts, _RUN]))

    def call(self, command: str, *args: object) -> Any:
        """Run a command. Raises RedisUnavailable."""
        with translate_errors():
            return self._script(args=[command, *map(str, args)])
