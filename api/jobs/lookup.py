"""Look up a job in Redis, falling back to its final record in S3."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import structlog
from structlog.contextvars import bind_contextvars

from api.http import auth
from api.jobs.wakeups import wake
from api.services.container import Services, services
from guanwu.wire.jobs import Job
from worker.contract.errors import JobNotFound, JobUnfinished
from worker.contract.lanes import QUEUES
from worker.contract.records.job_record import JobRecord, Load
from worker.contract.records.job_view import job_links, job_view
from worker.contract.repositories.job_restore import restore, stored_job

log = structlog.get_logger(__name__)

RESTORE_S = 5.0  # a caller waits for it at most
RESTORE_AGAIN_S = 30.0
_JOB_ID = re.compile(r"job_[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)


@dataclass(frozen=True)
class FoundJob:
    """A job of the caller's. `record` is None if only S3 knows the job."""

    tenant: str
    view: Job
    record: JobRecord | None

    @property
    def id(self) -> str:
        return self.view.id


def find_job(services: Services, job: str, *, tenant: str, ahead: bool = False) -> FoundJob:
    """A tenant's job. With `ahead`, its view says what is ahead of it and when it will end.

    Raises:
        JobNotFound: unknown or somebody else's; nobody can tell which.
        RedisUnavailable, StoreUnavailable
    """
    if _JOB_ID.fullmatch(job) is None:
        raise _not_found()
    bind_contextvars(job_id=job)
    record, load = _read_record(services, job, tenant, ahead=ahead)
    if record is None:
        stored = _read_stored(services, job, tenant)
        record = None if stored.done else _restore_lost(services, stored, tenant)
        if record is None:
            return FoundJob(tenant, stored, None)
    now_ms = time.time_ns() // 1_000_000
    return FoundJob(tenant, job_view(record, now_ms=now_ms, load=load), record)


def _read_record(
    services: Services, job: str, tenant: str, *, ahead: bool
) -> tuple[JobRecord | None, Load | None]:
    if ahead:
        return services.records.jobs.look(tenant, job)
    return services.records.jobs.read(tenant, job), None


def _read_stored(services: Services, job: str, tenant: str) -> Job:
    stored = stored_job(services.store, tenant, job)
    if stored is None:
        raise _not_found()
    return stored.model_copy(update={"links": job_links(job)})


def _restore_lost(services: Services, stored: Job, tenant: str) -> JobRecord | None:
    """The record of a job that was accepted and never ended, but which Redis has lost.

    One caller at a time restores it; None while that takes long, or fails.
    """
    if stored.lane is None or stored.chunk_images is None:
        return None
    if services.records.turns.take(f"restore:{stored.id}", every_s=RESTORE_AGAIN_S):
        restoring = services.pools.restore.submit(
            restore, services.records, services.store, tenant, stored, io=services.pools.store
        )
        try:
            restoring.result(timeout=RESTORE_S)
            log.warning("job restored, Redis had lost it")
        except TimeoutError:
            log.warning("restoring the job takes long; it goes on")
        for queue in QUEUES:
            wake(services, queue)
    return services.records.jobs.read(tenant, stored.id)


def _not_found() -> JobNotFound:
    return JobNotFound("there is no such job under your access token; check the job's id")


def finished_job(job: str) -> FoundJob:
    """The caller's job, with its files.

    Raises:
        JobNotFound, JobUnfinished
    """
    finished = find_job(services(), job, tenant=auth.tenant())
    if not finished.view.done:
        raise JobUnfinished(
            f"the job is {finished.view.status.value}; this file is written when it is done, "
            f"until then read {finished.view.links['results']}"
        )
    return finished
