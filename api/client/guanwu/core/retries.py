"""Retry policy: decides on another try and its pause; waits for nothing itself."""

from __future__ import annotations

import random
import time

from guanwu.errors import (
    ClientError,
    InFlight,
    ProblemError,
    ServerUnavailable,
    ServerUnreachable,
    TooMany,
)

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 20.0
MAX_RETRY_AFTER_S = 60.0  # a longer pause is an error at once
IN_FLIGHT_S = 60.0  # a try that died with its server is given up by then
LIMITED_S = 180.0  # of calls beyond those allowed in a minute
MAX_WAIT_S = 25  # of one long poll; the server takes 30
LOOK_S = 1.0
SILENCE_S = 40.0  # of an event stream, which has a heartbeat every 15 s


class RetryPolicy:
    """Decides whether one call is tried again, and after which pause."""

    def __init__(self, *, retries: int, safe: bool) -> None:
        self._retries = retries
        self._safe = safe
        self._tries = 0
        self._began_s = time.monotonic()

    def pause_s(self, error: ClientError) -> float:
        """Seconds before the next try. Raises `error` if there is to be none.

        Tries count when nobody knows whether they can succeed. While an earlier try is in
        flight, or more calls were made than are allowed in a minute, it is a matter of time.
        """
        spent_s = time.monotonic() - self._began_s
        if isinstance(error, InFlight):
            return _or_raise(error, spent_s <= IN_FLIGHT_S, pause_s(1, error))
        if isinstance(error, TooMany) and error.code == "rate_limited":
            return _or_raise(error, spent_s <= LIMITED_S, pause_s(1, error))
        self._tries += 1
        again = isinstance(error, TooMany) or (
            self._safe and isinstance(error, ServerUnavailable | ServerUnreachable)
        )
        return _or_raise(error, again and self._tries <= self._retries, pause_s(self._tries, error))


def _or_raise(error: ClientError, again: bool, pause_s: float) -> float:
    if not again or pause_s > MAX_RETRY_AFTER_S:
        raise error
    return pause_s


def pause_s(attempt: int, error: ClientError) -> float:
    """Seconds before try `attempt` + 1: what the server asks for, or doubling with jitter."""
    retry_after_s = error.problem.retry_after_s if isinstance(error, ProblemError) else None
    if retry_after_s is not None:
        return retry_after_s
    grown = min(FIRST_PAUSE_S * 2.0 ** (attempt - 1), MAX_PAUSE_S)
    return grown * random.uniform(0.5, 1.0)
