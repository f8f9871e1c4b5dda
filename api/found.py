"""Finding a job: its record in Redis, or, once that has gone, its last record in S3."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from structlog.contextvars import bind_contextvars

from api.services import Services
from worker.contract import keys
from worker.contract.errors import JobNotFound, ObjectNotFound
from worker.contract.job import Job
from worker.contract.views import job_links, job_view

_JOB_ID = re.compile(r"job_[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)


@dataclass(frozen=True)
class FoundJob:
    """A job of the caller's. `chunk_images` is None if only S3 knows the job."""

    tenant: str
    view: Job
    chunk_images: int | None

    @property
    def id(self) -> str:
        return self.view.id


def find_job(services: Services, job: str, *, tenant: str) -> FoundJob:
    """A tenant's job.

    Raises:
        JobNotFound: unknown or somebody else's; nobody can tell which.
        RedisUnavailable, StoreUnavailable
    """
    if _JOB_ID.fullmatch(job) is None:
        raise not_found()
    bind_contextvars(job_id=job)
    record = services.records.read(tenant, job)
    if record is None:
        return FoundJob(tenant, _from_store(services, job, tenant), None)
    view = job_view(record, now_ms=time.time_ns() // 1_000_000)
    return FoundJob(tenant, view, record.chunk_images)


def _from_store(services: Services, job: str, tenant: str) -> Job:
    try:
        body = services.store.get(keys.job_record(tenant, job))
    except ObjectNotFound as exc:
        raise not_found() from exc
    stored = Job.model_validate_json(body, extra="ignore")
    return stored.model_copy(update={"links": job_links(job)})


def not_found() -> JobNotFound:
    return JobNotFound("there is no such job under your access token; check the job's id")
