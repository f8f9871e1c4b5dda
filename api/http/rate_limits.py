"""Rate limits: calls a minute by caller and kind, counted in Redis.

A caller is an API key, or the tenant of a static token; never an address, for behind a proxy
all have the same. While Redis is away each process counts by itself: nobody is locked out,
and nobody let loose.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import redis
from flask import Flask, Response, current_app, g, request
from flask_limiter import Limiter
from flask_limiter.errors import RateLimitExceeded
from flask_openapi3.blueprint import APIBlueprint

from api.services.container import Services, services
from worker.contract.errors import RateLimited
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings

Kind = Literal["read", "submit", "upload"]

LIMIT = "RateLimit-Limit"
REMAINING = "RateLimit-Remaining"
RESET = "RateLimit-Reset"
READING = frozenset({"GET", "HEAD", "OPTIONS"})  # methods that change nothing
_NAME = "guanwu_rates"


class CountedBlueprint(APIBlueprint):
    """A blueprint that names the kind of its calls that change something."""

    changes: Kind = "submit"


def register(app: Flask, app_services: Services) -> None:
    """Make `count` work in requests of `app`, and tell callers what is left to them."""
    shared: dict[str, Any] = {
        "connection_pool": app_services.redis.connection_pool,
        "key_prefix": RedisKeys(app_services.settings.redis_prefix).rates,
    }
    limiter = Limiter(
        _caller,
        strategy="sliding-window-counter",
        storage_uri="redis://",
        storage_options=shared,
        in_memory_fallback_enabled=True,
        enabled=any(_limit_of(kind, app_services.settings) for kind in get_args(Kind)),
    )
    limiter.init_app(app)
    counted = limiter.shared_limit(_limit_text, scope=lambda _: kind())(_count)
    app.extensions[_NAME] = (limiter, counted)
    app.after_request(_add_headers)


def count() -> None:
    """Count this request; only once the caller is known.

    Raises:
        RateLimited: it is one too many.
    """
    limiter, counted = _limiter()
    if not limiter.enabled:
        return
    try:
        counted()
    except RateLimitExceeded as exc:
        limit = limiter.current_limit
        pause_s = 1 if limit is None else max(1, _seconds_until(limit.window.reset_time))
        name = f"rate_{kind()}_per_min"
        raise RateLimited(
            f"up to {exc.limit.limit.amount:,} calls of this kind ({kind()}) may be made in a "
            f"minute with this access token; go on in {pause_s} s, or have the operator raise "
            f"GUANWU_{name.upper()}",
            limits={name: exc.limit.limit.amount},
            retry_after_s=pause_s,
        ) from exc


def kind() -> Kind:
    """The kind of call that this request is."""
    if request.method in READING:
        return "read"
    blueprint = current_app.blueprints.get(request.blueprint or "")
    return blueprint.changes if isinstance(blueprint, CountedBlueprint) else "submit"


def _caller() -> str:
    return cast(str, g.key or f"tenant_{g.tenant}")


def _limit_text() -> str:
    limit = _limit_of(kind(), services().settings)
    return "" if limit is None else f"{limit} per minute"


def _limit_of(kind: Kind, settings: Settings) -> int | None:
    if kind == "read":
        return settings.rate_read_per_min
    return settings.rate_upload_per_min if kind == "upload" else settings.rate_submit_per_min


def _count() -> None:
    """Nothing but what the limiter puts around it."""


def _limiter() -> tuple[Limiter, Callable[[], None]]:
    return cast("tuple[Limiter, Callable[[], None]]", current_app.extensions[_NAME])


def _add_headers(response: Response) -> Response:
    limiter, _ = _limiter()
    limit = limiter.current_limit if limiter.enabled else None
    if limit is None:
        return response
    try:
        reset_s, left = limit.window
    except redis.RedisError:  # gone since the request was counted
        return response
    response.headers[LIMIT] = str(limit.limit.amount)
    response.headers[REMAINING] = str(left)
    response.headers[RESET] = str(_seconds_until(reset_s))
    return response


def _seconds_until(then_s: float) -> int:
    return max(0, math.ceil(then_s - time.time()))
