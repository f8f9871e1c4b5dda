"""HTTP with patience: timeouts, retries where they are safe, problems as exceptions."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from api.client.errors import (
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
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 20.0
IN_FLIGHT_S = 60.0  # a try that died with its server is given up by then
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Transport:
    """One server, or the storage its links lead to. Safe to share among threads."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str], timeout_s: float, retries: int
    ) -> None:
        self._retries = retries
        self._http = httpx.Client(
            base_url=url,
            headers=dict(headers),
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=32),
            follow_redirects=False,
            # A proxy cannot know what is on this machine.
            trust_env=urlsplit(url).hostname not in _LOOPBACK,
        )

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, *, safe: bool = True, **options: Any) -> httpx.Response:
        """Send a request; returns a 2xx answer.

        A 429 is tried again after the pause the server asks for. `safe`: sending it twice
        does no harm, so a 503 or a lost connection is tried again, too. While an earlier
        try with the same Idempotency-Key is in flight, its answer is waited for.

        Raises:
            RequestRefused, ServerFault, ServerUnavailable: the server's own problem.
            ServerUnreachable: no connection, or none that lasted.
            UnexpectedAnswer: an answer, but not Guanwu's.
        """
        attempt, end_s = 0, time.monotonic() + IN_FLIGHT_S
        while True:
            try:
                return self._once(method, path, options)
            except InFlight as exc:
                if time.monotonic() > end_s:
                    raise
                time.sleep(pause_s(1, exc))
            except (TooMany, ServerUnavailable, ServerUnreachable) as exc:
                attempt += 1
                if attempt > self._retries or not (safe or isinstance(exc, TooMany)):
                    raise
                time.sleep(pause_s(attempt, exc))

    def save(self, path: str, to: Path) -> None:
        """Download into a file, piece by piece; whole or not at all. Raises as `call` does."""
        part = to.with_name(to.name + ".part")
        try:
            with self._http.stream("GET", path) as answer, part.open("wb") as file:
                if not answer.is_success:
                    answer.read()
                    raise error_of(answer)
                for piece in answer.iter_bytes():
                    file.write(piece)
        except httpx.TransportError as exc:
            raise ServerUnreachable(f"{self._http.base_url} broke off ({_why(exc)})") from exc
        os.replace(part, to)

    def _once(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as exc:
            raise ServerUnreachable(
                f"{self._http.base_url} does not answer ({_why(exc)}); is the server up?"
            ) from exc
        if answer.is_success:
            return answer
        raise error_of(answer)


def _why(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def pause_s(attempt: int, error: ClientError) -> float:
    """Seconds before try `attempt` + 1: what the server asks for, or doubling with jitter."""
    asked = error.problem.retry_after_s if isinstance(error, ProblemError) else None
    if asked is not None:
        return min(asked, MAX_PAUSE_S)
    grown = min(FIRST_PAUSE_S * 2.0 ** (attempt - 1), MAX_PAUSE_S)
    return grown * random.uniform(0.5, 1.0)


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
