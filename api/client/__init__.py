"""Guanwu's Python client: `from api.client import Client`."""

from api.client.client import Client, JobHandle
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

__all__ = [
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
]
