"""Checks of a Redis server: version, role, eviction policy, persistence and room.

Made at every start, and by `guanwu doctor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import redis
import structlog

from worker.contract.errors import RedisUnavailable, RedisUnfit
from worker.contract.finding import Finding, problem, warning
from worker.contract.records.connection import translate_errors

log = structlog.get_logger(__name__)

SUBJECT = "redis"
TESTED = (7, 0)  # the oldest that the tests have run on
NEARLY_FULL = 0.8
SAFE_POLICY = "noeviction"


@dataclass(frozen=True)
class RedisState:
    """State of a server, as its INFO reports it.

    Attributes:
        name: `Redis 7.0.15`, `Valkey 9.1.2`.
        version: of Redis, whose commands it knows: (major, minor).
        policy: what goes when memory is full.
        max_bytes: 0 is no limit.
        snapshots: None if that cannot be seen: managed services often forbid CONFIG GET.
    """

    name: str
    version: tuple[int, int]
    policy: str
    used_bytes: int
    max_bytes: int
    append_only: bool
    snapshots: bool | None
    role: str
    writes_fail: bool


def read_state(client: redis.Redis) -> RedisState:
    """Ask the server.

    Raises:
        RedisUnavailable
    """
    with translate_errors():
        info: dict[str, Any] = client.info()
        snapshots = _snapshots(client)
    redis_version = str(info["redis_version"])
    own = info.get("valkey_version")
    return RedisState(
        name=f"Valkey {own}" if own else f"Redis {redis_version}",
        version=_version(redis_version),
        policy=str(info.get("maxmemory_policy", SAFE_POLICY)),
        used_bytes=int(info["used_memory"]),
        max_bytes=int(info.get("maxmemory", 0)),
        append_only=bool(info.get("aof_enabled", 0)),
        snapshots=snapshots,
        role=str(info.get("role", "master")),
        writes_fail="err"
        in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")),
    )


def _snapshots(client: redis.Redis) -> bool | None:
    try:
        return bool(cast("dict[str, str]", client.config_get("save")).get("save"))
    except redis.ResponseError:  # unknown, renamed, or not for this user
        return None


def _version(text: str) -> tuple[int, int]:
    major, minor, *_ = (*text.split("."), "0")
    return int(major), int(minor)


def check_server(state: RedisState) -> list[Finding]:
    """Findings on a server, one for each check."""
    return [
        _of_version(state),
        _of_role(state),
        _of_policy(state),
        _of_disk(state),
        _of_room(state),
    ]


def _of_version(state: RedisState) -> Finding:
    if state.version < TESTED:
        tested = ".".join(map(str, TESTED))
        return warning(
            SUBJECT, f"{state.name} is older than {tested}", remedy=f"take {tested} or newer"
        )
    return Finding(SUBJECT, state.name)


def _of_role(state: RedisState) -> Finding:
    if state.role != "master":
        return problem(
            SUBJECT,
            "this is a replica, which takes no writes",
            remedy="name the master in GUANWU_REDIS_URL, or its Sentinels (sentinel://...)",
        )
    return Finding(SUBJECT, "takes writes")


def _of_policy(state: RedisState) -> Finding:
    what = f"maxmemory-policy is {state.policy}"
    remedy = (
        "set maxmemory-policy to noeviction (redis-cli CONFIG SET maxmemory-policy noeviction, "
        "then CONFIG REWRITE; the parameter group of a managed service)"
    )
    if state.policy.startswith("allkeys"):
        return problem(SUBJECT, f"{what}: a full Redis throws running jobs away", remedy=remedy)
    if state.policy != SAFE_POLICY:
        lost = "a full Redis forgets finished jobs, quotas and Idempotency-Keys"
        return warning(SUBJECT, f"{what}: {lost}", remedy=remedy)
    return Finding(SUBJECT, what)


def _of_disk(state: RedisState) -> Finding:
    if state.writes_fail:
        return problem(
            SUBJECT,
            "its last write to disk failed",
            remedy="look at its log and its disk: while this lasts it may refuse writes",
        )
    if state.append_only:
        return Finding(SUBJECT, "keeps an append-only file")
    kept = {
        True: "it keeps snapshots alone, so a crash loses minutes",
        False: "it keeps nothing, so a crash loses every job that runs",
        None: "it keeps no append-only file; whether snapshots cannot be seen (no CONFIG GET)",
    }[state.snapshots]
    return warning(
        SUBJECT,
        f"{kept}; what is lost comes back from S3, more slowly",
        remedy="set appendonly yes and appendfsync everysec, or keep a replica in another zone",
    )


def _of_room(state: RedisState) -> Finding:
    used = f"{state.used_bytes / 2**20:,.0f} MiB"
    if not state.max_bytes:
        return Finding(SUBJECT, f"uses {used}, without a limit of its own")
    what = f"uses {used} of {state.max_bytes / 2**20:,.0f} MiB"
    if state.used_bytes > NEARLY_FULL * state.max_bytes:
        return warning(
            SUBJECT, what, remedy="raise maxmemory, or lower GUANWU_RECORD_TTL_S: docs/runbooks.md"
        )
    return Finding(SUBJECT, what)


def demand_fit(client: redis.Redis) -> None:
    """Log what is wrong with a server. One that is away, or no master yet, is not waited for.

    Raises:
        RedisUnfit: when full, it would throw running jobs away.
    """
    try:
        state = read_state(client)
    except RedisUnavailable as exc:
        log.warning("Redis could not be checked", error=exc.message)
        return
    policy = _of_policy(state)
    if policy.level == "problem":
        raise RedisUnfit(str(policy))
    warn(state)


def warn(state: RedisState) -> None:
    """Log what is wrong with a server."""
    for finding in check_server(state):
        if finding.level != "ok":
            log.warning("Redis is not as it should be", what=finding.what, remedy=finding.remedy)
