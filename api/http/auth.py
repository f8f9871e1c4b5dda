"""Authenticate the bearer token and resolve its tenant and scopes."""

from __future__ import annotations

import datetime as dt
from typing import cast

from flask import g, request
from structlog.contextvars import bind_contextvars

from api.http import rate_limits
from api.http.rate_limits import READING
from api.services.container import services
from worker.contract.errors import Forbidden, Unauthorized
from worker.contract.records import quota
from worker.contract.records.quota import Allowance
from worker.contract.repositories.api_keys import SCOPES, Scope

_REALM = 'Bearer realm="guanwu"'


def require_tenant() -> None:
    """Before a request: find the caller's tenant and count the call, or refuse before any body
    is read.

    Whatever changes something needs the scope `submit`, the rest `read`.

    Raises:
        Unauthorized: no bearer token, or one that is not known.
        RateLimited: too many calls in a minute.
        Forbidden: a token without the scope.
        StoreUnavailable: the token may be a key's, and nobody can look it up now.
    """
    _identify(_token())
    bind_contextvars(tenant=g.tenant)
    rate_limits.count()
    require_scope("read" if request.method in READING else "submit")


def require_scope(scope: Scope) -> None:
    """Raises Forbidden unless the caller's token is good for it."""
    if not allows(scope):
        raise Forbidden(
            f"this access token has the scopes {', '.join(g.scopes)}, the call needs {scope}; "
            "have the operator make a key with it: guanwu admin keys create --scope",
            challenge=f'{_REALM}, error="insufficient_scope", scope="{scope}"',
        )


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(
            "send your access token in the header `Authorization: Bearer <token>`",
            challenge=_REALM,
        )
    return token.strip()


def _identify(token: str) -> None:
    """Remember whose token it is: a static one of the settings, or an API key's."""
    tenant = services().settings.tenant_of(token)
    if tenant is not None:
        g.tenant, g.scopes, g.key, g.quota = tenant, SCOPES, None, {}
        return
    key = services().api_keys.find(token)
    if key is None:
        raise Unauthorized(
            "this access token is not known here; check that it is whole, for this server, "
            "and not revoked",
            challenge=f'{_REALM}, error="invalid_token"',
        )
    g.tenant, g.scopes, g.key = key.tenant, key.scopes, key.id
    g.quota = {"day": key.images_per_day, "month": key.images_per_month}


def tenant() -> str:
    """The caller's tenant; only in views behind `require_tenant`."""
    return cast(str, g.tenant)


def key() -> str | None:
    """The caller's API key, if it is no static token; only behind `require_tenant`."""
    return cast("str | None", g.key)


def allowances() -> tuple[Allowance, ...]:
    """The caller's quotas of today and this month; only behind `require_tenant`."""
    now = dt.datetime.now(dt.UTC)
    return quota.allowances(tenant(), key=key(), own=g.quota, settings=services().settings, now=now)


def allows(scope: Scope) -> bool:
    """May the caller do this kind of thing? Only behind `require_tenant`."""
    return scope in g.scopes or "admin" in g.scopes
