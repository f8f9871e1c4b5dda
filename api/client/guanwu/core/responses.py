"""Responses as errors, Retry-After, and the options of a connection."""

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


def request_headers(token: str) -> dict[str, str]:
    """Sent with every call to the server."""
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


def partial_path(file: Path) -> Path:
    """Path that a file is written to until it is complete."""
    return file.with_name(file.name + ".part")


def unreachable_error(url: httpx.URL, error: httpx.TransportError) -> ServerUnreachable:
    return ServerUnreachable(f"{url} does not answer ({_reason(error)}); is the server up?")


def interrupted_error(url: httpx.URL, error: httpx.TransportError) -> ServerUnreachable:
    return ServerUnreachable(f"{url} broke off ({_reason(error)})")


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def check_response(response: httpx.Response) -> httpx.Response:
    """Return a 2xx or 304 response; raise the error that any other one stands for."""
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    raise error_of(response)


def error_of(response: httpx.Response) -> ClientError:
    """The exception for a response other than 2xx."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "code" not in body:
        return _foreign_error(response)
    problem = Problem(
        status=response.status_code,
        code=str(body["code"]),
        title=str(body.get("title", "")),
        detail=str(body.get("detail", "")),
        errors=list(body.get("errors") or []),
        limits=dict(body.get("limits") or {}),
        request_id=body.get("request_id"),
        retry_after_s=retry_after_s(response),
    )
    return _error_class(response.status_code, problem.code)(problem)


def _foreign_error(response: httpx.Response) -> ClientError:
    """For responses of proxies, storage and strangers."""
    status = response.status_code
    text = f"{response.request.url.host} answered {status} {response.reason_phrase}"
    if status in (502, 503, 504):
        pause_s = retry_after_s(response)
        problem = Problem(status, "unavailable", text, text, retry_after_s=pause_s)
        return ServerUnavailable(problem)
    return UnexpectedAnswer(f"{text}, which is no answer of Guanwu's; is the URL right?")


def _error_class(status: int, code: str) -> type[ProblemError]:
    if code == "idempotency_in_flight":
        return InFlight
    if status in (429, 503):
        return TooMany if status == 429 else ServerUnavailable
    return ServerFault if status >= 500 else RequestRefused


def retry_after_s(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds; None without one, or with a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
