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

FIRST_LOOK_S = 0.01
MAX_LOOK_S = 0.2
END_LOOK_S = 1.0  # of who waits for the end alone, which wakes up who waits
LATENESS = 1 / 8  # of the time waited so far, that an answer may come later for being polled
MAX_PAUSE_S = 30
MAX_BLIND_PAUSE_S = 10  # while nobody can tell when the job will end

News = Callable[[Job], bool]


def state_id(job: Job) -> str:
    """Names a state of a job: whoever has seen it has missed nothing before it.

    Place in the queue, pace and predicted end are not part of it: they change all the time.
    """
    state = job.model_dump_json(include={"status", "counts", "planning", "finished_at"})
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def pause_s(job: Job, *, now: dt.datetime) -> int:
    """Seconds until the next look pays: a quarter of what is left of the job, or, if that is
    not known, a tenth of its age."""
    if job.eta_s is not None:
        return min(MAX_PAUSE_S, max(1, math.floor(job.eta_s / 4)))
    age_s = (now - job.created_at).total_seconds()
    return min(MAX_BLIND_PAUSE_S, max(1, math.floor(age_s / 10)))


def wait_for_news(services: Services, job: str, *, tenant: str, news: News, wait_s: float) -> None:
    """Return once the job is as `news` says, or after `wait_s`; at once if as many wait as may.

    Ends early, too, when a service goes away or this process is to end.
    """
    if not services.limits.polls.acquire(blocking=False):
        return
    try:
        with contextlib.suppress(ServiceUnavailable):
            watched(services, job, tenant=tenant, news=news, end_s=time.perf_counter() + wait_s)
    finally:
        services.limits.polls.release()


def look_s(waited_s: float) -> float:
    """Seconds until the next look at a job that has been waited for so long."""
    return min(max(waited_s * LATENESS, FIRST_LOOK_S), MAX_LOOK_S)


def watched(
    services: Services,
    job: str,
    *,
    tenant: str,
    news: News,
    end_s: float,
    only_end: bool = False,
) -> FoundJob | None:
    """The job once it is as `news` says; None if it is not by `end_s` of `time.perf_counter`.

    Args:
        only_end: nothing but the job's end is news, so it is looked at less often until then.

    Raises:
        JobNotFound, RedisUnavailable, StoreUnavailable
    """
    alive, began_s = current_app.extensions.get(ALIVE, lambda: True), time.perf_counter()
    ended = False
    while not news((found := find_job(services, job, tenant=tenant)).view):
        now_s = time.perf_counter()
        if now_s >= end_s or not alive():
            return None
        pause_s = min(END_LOOK_S if only_end else look_s(now_s - began_s), end_s - now_s)
        if ended:  # and yet no news: it runs again
            time.sleep(min(pause_s, MAX_LOOK_S))
        else:
            ended = services.records.jobs.wait_for_end(job, timeout_s=pause_s)
    return found


MAX_WAIT_S = 30
