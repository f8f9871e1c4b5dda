"""Responses: errors, Retry-After and what a connection is set up with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from guanwu.errors import (
    ClientError,
    InFlight,
    Problem,
    ProblemError,
    RequestRefused,
    ServerFault,
    ServerUnavailable,
    ServerUnreachable,
    TooMany,
    UnexpectedAnswer,
)

CONNECT_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 32
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def headers_of(token: str) -> dict[str, str]:
    """With every call to the server."""
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def client_options(url: str, headers: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
    """Of an httpx client, sync or async."""
    return {
        "base_url": url,
        "headers": dict(headers),
        "timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        "limits": httpx.Limits(max_connections=MAX_CONNECTIONS),
        "follow_redirects": False,
        # A proxy cannot know what is on this machine.
        "trust_env": urlsplit(url).hostname not in _LOOPBACK,
    }


def stream_timeout(silence_s: float) -> httpx.Timeout:
    return httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S)


def part_of(file: Path) -> Path:
    """Where a file is written to until it is whole."""
    return file.with_name(file.name + ".part")


def unreachable(url: httpx.URL, error: httpx.TransportError) -> ServerUnreachable:
    return ServerUnreachable(f"{url} does not answer ({_why(error)}); is the server up?")


def broken_off(url: httpx.URL, error: httpx.TransportError) -> ServerUnreachable:
    return ServerUnreachable(f"{url} broke off ({_why(error)})")


def _why(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is one to go on with; raises what it amounts to otherwise."""
    if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
        return answer
    raise error_of(answer)


def error_of(answer: httpx.Response) -> ClientError:
    """The exception that an answer other than 2xx amounts to."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "code" not in body:
        return _foreign(answer)
    problem = Problem(
        status=answer.status_code,
        code=str(body["code"]),
        title=str(body.get("title", "")),
        detail=str(body.get("detail", "")),
        errors=list(body.get("errors") or []),
        limits=dict(body.get("limits") or {}),
        request_id=body.get("request_id"),
        retry_after_s=retry_after_s(answer),
    )
    return _kind(answer.status_code, problem.code)(problem)


def _foreign(answer: httpx.Response) -> ClientError:
    """Answers of proxies, storage and strangers."""
    status = answer.status_code
    text = f"{answer.request.url.host} answered {status} {answer.reason_phrase}"
    if status in (502, 503, 504):
        asked = retry_after_s(answer)
        problem = Problem(status, "unavailable", text, text, retry_after_s=asked)
        return ServerUnavailable(problem)
    return UnexpectedAnswer(f"{text}, which is no answer of Guanwu's; is the URL right?")


def _kind(status: int, code: str) -> type[ProblemError]:
    if code == "idempotency_in_flight":
        return InFlight
    if status in (429, 503):
        return TooMany if status == 429 else ServerUnavailable
    return ServerFault if status >= 500 else RequestRefused


def retry_after_s(answer: httpx.Response) -> float | None:
    """`Retry-After` in seconds; None without one, or with a date."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
