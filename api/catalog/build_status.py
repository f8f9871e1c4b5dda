"""Current status of a label set's version: its record, and the job that builds it."""

from __future__ import annotations

import datetime as dt

from api.services.container import Services
from guanwu.wire.jobs import ItemError
from guanwu.wire.label_sets import ClientSet
from guanwu.wire.statuses import JobStatus
from worker.contract.repositories.job_restore import stored_job

LOST_S = 60.0  # after which a version whose job never came to be is given up


def refresh(services: Services, tenant: str, version: ClientSet) -> ClientSet:
    """A version as it is now: one whose job has ended without it has failed.

    The job's end writes the version first, so of one that is ready this never says so.
    """
    if version.status != "building" or version.job is None:
        return version
    job = stored_job(services.store, tenant, version.job)
    age = dt.datetime.now(dt.UTC) - version.created_at
    if (job is None and age.total_seconds() < LOST_S) or (job is not None and not job.done):
        return version
    again = services.client_sets.find(tenant, version.ref, hidden=True)
    if again.status != "building":
        return again
    cancelled = job is not None and job.status is JobStatus.CANCELLED
    error = ItemError(
        code="cancelled" if cancelled else "label_set_failed",
        message=f"its job {version.job} was cancelled" if cancelled else "its job was lost",
    )
    return version.model_copy(update={"status": "failed", "error": error})
