"""The connection to Redis, and its errors as Guanwu's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from worker.contract.errors import RedisUnavailable
from worker.contract.settings import Settings


def connect(settings: Settings) -> redis.Redis:
    """A Redis client that answers or fails within `redis_timeout_s`, twice tried."""
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
        decode_responses=True,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Redis's own errors become RedisUnavailable."""
    try:
        yield
    except OutOfMemoryError as exc:
        raise RedisUnavailable("Redis is full (maxmemory); free memory or raise the limit") from exc
    except ReadOnlyError as exc:
        raise RedisUnavailable("Redis is read-only: a replica; set GUANWU_REDIS_URL") from exc
    except redis.ResponseError as exc:
        if not str(exc).startswith(("MISCONF", "NOREPLICAS")):
            raise
        raise RedisUnavailable(f"Redis refuses writes: {exc}") from exc
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError) as exc:
        raise RedisUnavailable("Redis does not answer; try again soon") from exc
