"""`Prefer: wait=N` (RFC 7240): answer a small job with its results if they come in time."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request
from pydantic import Field
from werkzeug.http import parse_list_header

from api.jobs.polling import MAX_WAIT_S, wait_for
from api.results import reader
from api.results.links import with_links
from api.services.container import Services
from guanwu.wire.jobs import Job
from guanwu.wire.results import ItemResult
from worker.contract.errors import ServiceUnavailable

APPLIED = "Preference-Applied"


class FinishedJob(Job):
    """A job that is done, with all of its items."""

    results: list[ItemResult] = Field(description="as `GET .../results` lists them")


@dataclass(frozen=True)
class WaitOutcome:
    """The outcome of a wait: was it granted, and the job if it ended in time."""

    applied: bool
    job: FinishedJob | None = None


def wait_s_of(request: Request) -> int | None:
    """Seconds that the caller prefers to wait, `MAX_WAIT_S` at most; None: not at all.

    A preference is no demand: one that cannot be read is ignored, and of several the first
    counts.
    """
    for preference in parse_list_header(", ".join(request.headers.getlist("Prefer"))):
        name, _, value = preference.partition(";")[0].partition("=")
        seconds = value.strip().strip('"')
        if name.strip().lower() == "wait":
            readable = seconds.isascii() and seconds.isdecimal() and len(seconds) < 10
            return min(int(seconds), MAX_WAIT_S) if readable else None
    return None


def wait(services: Services, job: Job, *, tenant: str, end_s: float) -> WaitOutcome:
    """Wait for a small job until `end_s` of `time.perf_counter`; as few as may do so at once.

    The job is accepted already, so a service that goes away meanwhile is not an error.
    """
    small = job.source is None and job.counts.total <= services.settings.hi_max_images
    if not small or not services.limits.submissions.acquire(blocking=False):
        return WaitOutcome(applied=False)
    try:
        return WaitOutcome(applied=True, job=_wait_for_end(services, job.id, tenant, end_s))
    except ServiceUnavailable:
        return WaitOutcome(applied=True)
    finally:
        services.limits.submissions.release()


def _wait_for_end(services: Services, job: str, tenant: str, end_s: float) -> FinishedJob | None:
    finished = wait_for(
        services, job, tenant=tenant, until=lambda view: view.done, end_s=end_s, only_end=True
    )
    if finished is None:
        return None
    page = reader.read_page(services, finished, after=-1, limit=finished.view.counts.total)
    items = [with_links(item, services.store) for item in page.items]
    return FinishedJob(**dict(finished.view), results=items)
