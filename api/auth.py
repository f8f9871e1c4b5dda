"""Who calls: `Authorization: Bearer <token>` -> tenant."""

from __future__ import annotations

from typing import cast

from flask import g, request
from structlog.contextvars import bind_contextvars

from api.services import services
from worker.contract.errors import Unauthorized

_REALM = 'Bearer realm="guanwu"'


def require_tenant() -> None:
    """Before a request: find the caller's tenant, or refuse before any body is read.

    Raises:
        Unauthorized: no bearer token, or one that is not known.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(
            "send your access token in the header `Authorization: Bearer <token>`",
            challenge=_REALM,
        )
    tenant = services().settings.tenant_of(token.strip())
    if tenant is None:
        raise Unauthorized(
            "this access token is not known here; check that it is whole and for this server",
            challenge=f'{_REALM}, error="invalid_token"',
        )
    g.tenant = tenant
    bind_contextvars(tenant=tenant)


def tenant() -> str:
    """The caller's tenant; only in views behind `require_tenant`."""
    return cast(str, g.tenant)
