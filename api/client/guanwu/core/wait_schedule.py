"""Wait schedule: when to look at a job again, and when to give up."""

from __future__ import annotations

import time

from guanwu.core.retries import LOOK_S, MAX_WAIT_S, SILENCE_S
from guanwu.errors import WaitTimeout
from guanwu.wire.jobs import Job


class WaitSchedule:
    """Decides how long a job is waited for, and when it is looked at next."""

    def __init__(self, *, timeout_s: float | None, call_timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._max_wait_s = min(MAX_WAIT_S, int(call_timeout_s / 2))
        self._looked_s = time.monotonic()

    def wait_s(self, job: Job) -> int:
        """Of the next long poll.

        Raises:
            WaitTimeout: the time is over.
        """
        self._looked_s = time.monotonic()
        return int(min(self._max_wait_s, self._left_s(job)))

    def silence_s(self, job: Job) -> float:
        """Longest silence of an event stream. Raises as `wait_s`."""
        return min(SILENCE_S, self._left_s(job))

    def check(self, job: Job) -> None:
        """Raises as `wait_s`."""
        self._left_s(job)

    def pause_s(self, before: Job, after: Job, retry_after_s: float | None) -> float:
        """Seconds before the next look: none if the server waited, or had news."""
        waited = time.monotonic() - self._looked_s >= LOOK_S
        if after.done or waited or after.status is not before.status:
            return 0.0
        return min(LOOK_S if retry_after_s is None else retry_after_s, self._left_s(after))

    def _left_s(self, job: Job) -> float:
        if self._end_s is None:
            return float("inf")
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise WaitTimeout(f"{job.id} is {job.status.value} after {self._timeout_s} s")
        return left_s
