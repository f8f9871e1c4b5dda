"""Guanwu's Python client: `from guanwu import Client`, or `AsyncClient`."""

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
