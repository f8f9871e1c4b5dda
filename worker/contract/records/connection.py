"""Connections to Redis, of records and of the broker, and their errors as Guanwu's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from worker.contract.errors import RedisUnavailable
from worker.contract.settings.model import Settings

_VERIFY = {"full": "required", "chain": "required", "none": "none"}


def connect(settings: Settings) -> redis.Redis:
    """A Redis client that answers or fails within `redis_timeout_s`, twice tried.

    Of a master that Sentinels know, each new connection asks them who it is now.
    """
    address = settings.redis_address
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.user,
        "password": address.password,
        "health_check_interval": 15,
        "retry": Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
        "decode_responses": True,
        **_timeouts(settings),
        **_ssl(settings),
    }
    if address.master is None:
        ((host, port),) = address.hosts
        return redis.Redis(host=host, port=port, **options)
    sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's Sentinel has no types
        address.hosts, sentinel_kwargs=_to_sentinels(settings)
    )
    master = sentinels.master_for(address.master, **options)  # type: ignore[no-untyped-call]
    return cast(redis.Redis, master)


def connect_sentinels(settings: Settings) -> list[redis.Redis]:
    """A client of each Sentinel; none where the address is the server's own."""
    address = settings.redis_address
    if address.master is None:
        return []
    options = {"decode_responses": True, **_to_sentinels(settings)}
    return [redis.Redis(host=host, port=port, **options) for host, port in address.hosts]


def broker_connection(settings: Settings) -> dict[str, Any]:
    """The same connection as settings of Celery."""
    address = settings.redis_address
    options: dict[str, Any] = {**_timeouts(settings), "retry_on_timeout": False, "max_retries": 1}
    if address.master is not None:
        options["master_name"] = address.master
        options["sentinel_kwargs"] = _to_sentinels(settings)
    tls = {name: value for name, value in _ssl(settings).items() if name != "ssl"}
    return {
        "broker_url": address.broker_url(),
        "broker_use_ssl": tls or None,
        "broker_transport_options": options,
    }


def _timeouts(settings: Settings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.redis_timeout_s,
        "socket_connect_timeout": settings.redis_timeout_s,
    }


def _ssl(settings: Settings) -> dict[str, Any]:
    """TLS options of redis-py; none without TLS."""
    if not settings.redis_address.tls:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_cert_file,
        "ssl_keyfile": settings.redis_key_file,
        "ssl_cert_reqs": _VERIFY[settings.redis_tls_verify],
        "ssl_check_hostname": settings.redis_tls_verify == "full",
    }


def _to_sentinels(settings: Settings) -> dict[str, Any]:
    password = settings.redis_sentinel_password
    return {
        "username": settings.redis_sentinel_user,
        "password": None if password is None else password.get_secret_value(),
        **_timeouts(settings),
        **_ssl(settings),
    }


@contextmanager
def translate_errors() -> Iterator[None]:
    """Redis's own errors become RedisUnavailable."""
    try:
        yield
    except OutOfMemoryError as exc:
        raise RedisUnavailable("Redis is full (maxmemory); free memory or raise the limit") from exc
    except ReadOnlyError as exc:
        raise RedisUnavailable("Redis is read-only: a replica; set GUANWU_REDIS_URL") from exc
    except NoPermissionError as exc:
        raise RedisUnavailable(
            "the user of GUANWU_REDIS_URL may not do what Guanwu needs; see its ACL"
        ) from exc
    except redis.ResponseError as exc:
        if not str(exc).startswith(("MISCONF", "NOREPLICAS")):
            raise
        raise RedisUnavailable(f"Redis refuses writes: {exc}") from exc
    except (AuthenticationError, AuthorizationError) as exc:
        raise RedisUnavailable(
            "Redis refuses the user or the password of GUANWU_REDIS_URL"
        ) from exc
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError) as exc:
        raise RedisUnavailable("Redis does not answer; try again soon") from exc
