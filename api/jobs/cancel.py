"""Cancel a job in Redis, and record the cancellation in S3."""

from __future__ import annotations

from api.jobs.wakeups import log, wake
from api.services.container import Services
from worker.contract.errors import StoreUnavailable
from worker.contract.lanes import QUEUES
from worker.contract.objects import keys
from worker.contract.records.job_record import JobRecord


def cancel(services: Services, job: str, *, tenant: str) -> JobRecord | None:
    """Ask for a job's end; None if Redis has no such job of the tenant."""
    record = services.records.jobs.cancel(tenant, job)
    if record is not None and not record.status.done:
        _record_in_store(services, job, tenant)
        for queue in QUEUES:  # its last chunks in its lane, its closing with the coordinator
            wake(services, queue)
    return record


def _record_in_store(services: Services, job: str, tenant: str) -> None:
    """So that a rebuild, after Redis has forgotten the job, cancels it again.

    An object of its own: the closing worker may be writing the final job.json just now.
    """
    try:
        services.store.put(keys.cancelled(tenant, job), b"{}\n", content_type="application/json")
    except StoreUnavailable as exc:
        log.warning("a cancellation stands in Redis alone", error=exc.message)
