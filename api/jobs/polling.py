"""Polling: state ids (ETag), Retry-After, and the long poll."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import math
import time
from collections.abc import Callable

from flask import current_app

from api.jobs.lookup import FoundJob, find_job
from api.services.capacity import ALIVE
from api.services.container import Services
from guanwu.wire.jobs import Job
from worker.contract.errors import ServiceUnavailable

MAX_WAIT_S = 30
FIRST_POLL_S = 0.01
MAX_POLL_S = 0.2
END_POLL_S = 1.0  # when waiting only for the end: the end itself wakes the waiter
LATENESS = 1 / 8  # of the time waited so far, that an answer may come later for being polled
MAX_RETRY_AFTER_S = 30
MAX_BLIND_RETRY_AFTER_S = 10  # while nobody can tell when the job will end

Condition = Callable[[Job], bool]


def state_id(job: Job) -> str:
    """The id of a job's state: a client that knows it has missed nothing before it.

    Place in the queue, pace and predicted end are not part of it: they change all the time.
    """
    state = job.model_dump_json(include={"status", "counts", "planning", "finished_at"})
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def pause_s(job: Job, *, now: dt.datetime) -> int:
    """Seconds until the next look pays: a quarter of what is left of the job, or, if that is
    not known, a tenth of its age."""
    if job.eta_s is not None:
        return min(MAX_RETRY_AFTER_S, max(1, math.floor(job.eta_s / 4)))
    age_s = (now - job.created_at).total_seconds()
    return min(MAX_BLIND_RETRY_AFTER_S, max(1, math.floor(age_s / 10)))


def wait_for_change(
    services: Services, job: str, *, tenant: str, until: Condition, wait_s: float
) -> None:
    """Return once `until` holds for the job, or after `wait_s`; at once if as many wait as may.

    Ends early, too, when a service goes away or this process is to end.
    """
    if not services.limits.polls.acquire(blocking=False):
        return
    try:
        with contextlib.suppress(ServiceUnavailable):
            wait_for(services, job, tenant=tenant, until=until, end_s=time.perf_counter() + wait_s)
    finally:
        services.limits.polls.release()


def poll_interval_s(waited_s: float) -> float:
    """Seconds until the next look at a job that has been waited for `waited_s`."""
    return min(max(waited_s * LATENESS, FIRST_POLL_S), MAX_POLL_S)


def wait_for(
    services: Services,
    job: str,
    *,
    tenant: str,
    until: Condition,
    end_s: float,
    only_end: bool = False,
) -> FoundJob | None:
    """The job once `until` holds for it; None if it does not by `end_s` of `time.perf_counter`.

    Args:
        only_end: `until` holds at the job's end alone, so it is looked at less often until then.

    Raises:
        JobNotFound, RedisUnavailable, StoreUnavailable
    """
    alive, began_s = current_app.extensions.get(ALIVE, lambda: True), time.perf_counter()
    ended = False
    while not until((current := find_job(services, job, tenant=tenant)).view):
        now_s = time.perf_counter()
        if now_s >= end_s or not alive():
            return None
        pause_s = min(END_POLL_S if only_end else poll_interval_s(now_s - began_s), end_s - now_s)
        if ended:  # and yet `until` does not hold: the job runs again
            time.sleep(min(pause_s, MAX_POLL_S))
        else:
            ended = services.records.jobs.wait_for_end(job, timeout_s=pause_s)
    return current
