"""Guanwu's Python client: `from api.client import Client`, or `AsyncClient`."""

from api.client.async_client import AsyncClient
from api.client.async_handle import AsyncJobHandle
from api.client.client import Client
from api.client.errors import (
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
from api.client.handle import JobHandle
from api.client.webhooks import Webhook

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
