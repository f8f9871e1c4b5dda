"""Redis: reached, fit to keep jobs, and near."""

from __future__ import annotations

import statistics
import time

import redis

from worker.contract.errors import RedisUnavailable
from worker.contract.finding import Finding, problem, warning
from worker.contract.redis_client import connect, translated
from worker.contract.redis_state import SUBJECT, judge, read_state
from worker.contract.settings import Settings

PINGS = 20
SLOW_MS = 10.0


def examine(settings: Settings) -> list[Finding]:
    with connect(settings) as client:
        try:
            return [*judge(read_state(client)), judge_latency(_ping_ms(client))]
        except RedisUnavailable as exc:
            return [_away(exc)]


def _ping_ms(client: redis.Redis) -> float:
    took_ms = []
    with translated():
        for _ in range(PINGS):
            began_s = time.perf_counter()
            client.ping()
            took_ms.append((time.perf_counter() - began_s) * 1e3)
    return statistics.median(took_ms)


def judge_latency(ms: float) -> Finding:
    """A chunk asks some ten times; a submission about as often."""
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
