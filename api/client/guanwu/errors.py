"""Exceptions of the client: connections, answers and the server's problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class ClientError(Exception):
    """Something the client can name."""


class ServerUnreachable(ClientError):
    """No connection, or none that lasted."""


class UnexpectedAnswer(ClientError):
    """The answer is not one of Guanwu's; is the URL right?"""


class WaitTimeout(ClientError):
    """The job was not done in the time given. It goes on; wait again."""


@dataclass(frozen=True)
class Problem:
    """The server's problem document (RFC 9457)."""

    status: int
    code: str
    title: str
    detail: str
    errors: list[dict[str, Any]] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    request_id: str | None = None
    retry_after_s: float | None = None


class ProblemError(ClientError):
    """The server answered with a problem; `problem` has its fields."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem

    @property
    def code(self) -> str:
        """Stable name of the problem, e.g. `job_not_found`."""
        return self.problem.code

    @property
    def status(self) -> int:
        return self.problem.status


class RequestRefused(ProblemError):
    """4xx: the request has to change before it is sent again."""


class TooMany(RequestRefused):
    """429: as much as is allowed is under way already; nothing was accepted now."""


class InFlight(RequestRefused):
    """409: an earlier try of the same request is still being answered."""


class ServerFault(ProblemError):
    """5xx: a fault of the server or its setup."""


class ServerUnavailable(ServerFault):
    """503: something the server needs is away; the same request may succeed later."""
