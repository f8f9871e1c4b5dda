"""Guanwu's Python client: `from guanwu import Client`, or `AsyncClient`.

Names are imported on first use, so that `guanwu.wire` alone loads no HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guanwu.aio.client import AsyncClient
    from guanwu.aio.job import AsyncJobHandle
    from guanwu.core.models import Webhook
    from guanwu.errors import (
        ClientError,
        Problem,
        ProblemError,
        RequestRefused,
        ServerFault,
        ServerUnavailable,
        ServerUnreachable,
        TooMany,
        UnexpectedAnswer,
        WaitTimeout,
    )
    from guanwu.sync.client import Client
    from guanwu.sync.job import JobHandle

__all__ = [
    "AsyncClient",
    "AsyncJobHandle",
    "Client",
    "ClientError",
    "JobHandle",
    "Problem",
    "ProblemError",
    "RequestRefused",
    "ServerFault",
    "ServerUnavailable",
    "ServerUnreachable",
    "TooMany",
    "UnexpectedAnswer",
    "WaitTimeout",
    "Webhook",
]
_HOMES = {
    "AsyncClient": "guanwu.aio.client",
    "AsyncJobHandle": "guanwu.aio.job",
    "Client": "guanwu.sync.client",
    "JobHandle": "guanwu.sync.job",
    "Webhook": "guanwu.core.models",
}
_PARTS = frozenset({"aio", "core", "errors", "sync", "wire"})


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "guanwu.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
