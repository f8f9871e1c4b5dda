"""Redis: reached, fit to keep jobs, and near."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import redis

from worker.contract.errors import RedisUnavailable
from worker.contract.finding import Finding, problem, warning
from worker.contract.records.connection import connect, connect_sentinels, translate_errors
from worker.contract.records.server_state import SUBJECT, check_server, read_state
from worker.contract.settings.model import Settings

PINGS = 20
SLOW_MS = 10.0
MIN_SENTINELS = 3


def examine(settings: Settings) -> Iterator[Finding]:
    if watchers := connect_sentinels(settings):
        master = str(settings.redis_address.master)
        knowing = sum(_knows(watcher, master) for watcher in watchers)
        yield judge_sentinels(knowing, of=len(watchers), master=master)
    with connect(settings) as client:
        try:
            yield from check_server(read_state(client))
            yield judge_latency(_ping_ms(client))
        except RedisUnavailable as exc:
            yield _away(exc)


def _knows(watcher: redis.Redis, master: str) -> bool:
    with watcher:
        try:
            return watcher.sentinel_get_master_addr_by_name(master) is not None
        except redis.RedisError:
            return False


def judge_sentinels(knowing: int, *, of: int, master: str) -> Finding:
    """Most of the Sentinels must agree before a replica becomes the master."""
    what = f"{knowing} of {of} Sentinels know {master}"
    remedy = (
        "start those that are away, name all in GUANWU_REDIS_URL, three at least, and check "
        "GUANWU_REDIS_SENTINEL_PASSWORD"
    )
    if knowing <= of // 2:
        return problem(SUBJECT, what, remedy=remedy)
    if knowing < of or of < MIN_SENTINELS:
        return warning(SUBJECT, what, remedy=remedy)
    return Finding(SUBJECT, what)


def _ping_ms(client: redis.Redis) -> float:
    took_ms = []
    with translate_errors():
        for _ in range(PINGS):
            began_s = time.perf_counter()
            client.ping()
            took_ms.append((time.perf_counter() - began_s) * 1e3)
    return statistics.median(took_ms)


def judge_latency(ms: float) -> Finding:
    """Every chunk and every submission asks several times, one after another."""
    what = f"answers in {ms:.1f} ms"
    if ms > SLOW_MS:
        return warning(SUBJECT, what, remedy="bring front door and workers into its network")
    return Finding(SUBJECT, what)


def _away(error: RedisUnavailable) -> Finding:
    reason = str(error.__cause__ or "").partition("\n")[0]
    return problem(
        SUBJECT,
        f"{error.message} ({reason})" if reason else error.message,
        remedy="check GUANWU_REDIS_URL: scheme (rediss:// for TLS), host, port, user and password; "
        "for TLS GUANWU_REDIS_CA_FILE, for Sentinels GUANWU_REDIS_SENTINEL_PASSWORD",
    )
