"""Debian's Redis and its Sentinels, as an operator runs them: TLS, an ACL user, a replica.

Where the programs are not installed such tests are skipped; in CI they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.child import Child
from deploy.ports import LOOPBACK, keep_or_choose
from tests.support.certificates import Certificate

ADMIN_PASSWORD = "of-the-operator"
PASSWORD = "p@ss/word:of?guanwu"  # what a URL has to write in another way
SENTINEL_PASSWORD = "of-the-sentinels"
USER = "guanwu"
RIGHTS = "~{prefix}:* +@all -@admin -@dangerous +info"
READY_S = 30.0
DOWN_AFTER_MS = 3000


def demand_programs(*names: str) -> None:
    """Skip a test without these programs of the system; in CI, let it fail."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"needs {', '.join(missing)}")


class RedisServer:
    """One Redis behind TLS, with an append-only file, an operator and the user `guanwu`."""

    def __init__(
        self, folder: Path, *, certificate: Certificate, prefix: str, more: Sequence[str] = ()
    ) -> None:
        self.port = keep_or_choose(None)
        self._certificate = certificate
        rights = RIGHTS.format(prefix=prefix)
        lines = (
            *_listening(self.port, certificate),
            'save ""',
            "appendonly yes",
            "repl-diskless-sync-delay 0",
            f"user default on >{ADMIN_PASSWORD} ~* &* +@all",
            f"user {USER} on >{PASSWORD} {rights}",
            f"masterauth {ADMIN_PASSWORD}",
            *more,
        )
        self.child = _child("redis-server", folder, lines)

    def start(self) -> None:
        self.child.start()
        self.child.wait_until(self._answers, timeout_s=READY_S, what="an answer to PING")

    def client(self) -> redis.Redis:
        """The operator's."""
        return redis.Redis(port=self.port, password=ADMIN_PASSWORD, **_trusting(self._certificate))

    def synced(self) -> bool:
        """A replica has all that its master had."""
        with self.client() as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    def _answers(self) -> bool:
        return _answers(self.client())


class RedisSentinel:
    """One Sentinel behind TLS that watches the master `pictures`."""

    def __init__(self, folder: Path, *, certificate: Certificate, master_port: int) -> None:
        self.port = keep_or_choose(None)
        self._certificate = certificate
        lines = (
            *_listening(self.port, certificate),
            f"requirepass {SENTINEL_PASSWORD}",
            f"sentinel sentinel-pass {SENTINEL_PASSWORD}",
            f"sentinel monitor pictures {LOOPBACK} {master_port} 2",
            f"sentinel auth-pass pictures {ADMIN_PASSWORD}",
            f"sentinel down-after-milliseconds pictures {DOWN_AFTER_MS}",
            "sentinel failover-timeout pictures 10000",
        )
        self.child = _child("redis-sentinel", folder, lines)

    def start(self) -> None:
        self.child.start()
        self.child.wait_until(self._answers, timeout_s=READY_S, what="an answer to PING")

    def knows(self, *, sentinels: int, replicas: int) -> bool:
        """It sees so many others: without them it agrees to no failover."""
        with self._client() as client:
            (master,) = client.sentinel_masters().values()
        found = (master["num-other-sentinels"], master["num-slaves"])
        return bool(found == (sentinels - 1, replicas))

    def _client(self) -> redis.Redis:
        trusted = _trusting(self._certificate)
        return redis.Redis(port=self.port, password=SENTINEL_PASSWORD, **trusted)

    def _answers(self) -> bool:
        return _answers(self._client())


def _child(program: str, folder: Path, lines: Sequence[str]) -> Child:
    folder.mkdir(parents=True)
    config = folder / "redis.conf"
    config.write_text("\n".join(lines) + "\n")
    return Child(
        folder.name,
        [shutil.which(program) or program, "redis.conf"],
        environment=os.environ,
        log_path=folder / "log",
        cwd=folder,
    )


def _listening(port: int, certificate: Certificate) -> tuple[str, ...]:
    """On TLS alone, to those who show a certificate of the same authority."""
    return (
        f"bind {LOOPBACK}",
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {certificate.certificate}",
        f"tls-key-file {certificate.key}",
        f"tls-ca-cert-file {certificate.authority}",
        "tls-auth-clients yes",
        "tls-replication yes",
    )


def _trusting(certificate: Certificate) -> dict[str, Any]:
    return {
        "host": LOOPBACK,
        "ssl": True,
        "ssl_ca_certs": str(certificate.authority),
        "ssl_certfile": str(certificate.certificate),
        "ssl_keyfile": str(certificate.key),
        "socket_timeout": 2,
        "decode_responses": True,
    }


def _answers(client: redis.Redis) -> bool:
    try:
        with client:
            return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
        return False
