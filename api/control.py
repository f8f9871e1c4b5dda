"""What is done to jobs that exist: waking workers up for them, and ending them early."""

from __future__ import annotations

import structlog

from api.services import Services
from worker.contract.errors import RedisUnavailable, StoreUnavailable
from worker.contract.lanes import QUEUES, QueueName
from worker.contract.objects import keys
from worker.contract.records.broker import send
from worker.contract.records.job_record import JobRecord

log = structlog.get_logger(__name__)

WAKE_UPS = 8  # at most, a job; workers go on by themselves while there is work


def cancel(services: Services, job: str, *, tenant: str) -> JobRecord | None:
    """Ask for a job's end; None if Redis has no such job of the tenant."""
    record = services.records.cancel(tenant, job)
    if record is not None and not record.status.done:
        _remember(services, job, tenant)
        for queue in QUEUES:  # its last chunks in its lane, its closing with the coordinator
            wake(services, queue)
    return record


def _remember(services: Services, job: str, tenant: str) -> None:
    """So that a rebuild, after Redis has forgotten the job, cancels it again.

    An object of its own: the closing worker may be writing the final job.json just now.
    """
    try:
        services.store.put(keys.cancelled(tenant, job), b"{}\n", content_type="application/json")
    except StoreUnavailable as exc:
        log.warning("a cancellation stands in Redis alone", error=exc.message)


def wake(services: Services, queue: QueueName, *, count: int = 1) -> None:
    """Wake those up who work on a queue. If the broker is away the sweeper does it later.

    Whoever takes a wake-up finds all work that is ready by then, so of many that lie there
    untaken one more is of no use.
    """
    for attempt in (1, 2):  # the first may meet a connection that a restart has cut
        try:
            if services.records.queued_wake_ups(queue) < WAKE_UPS:
                send(services.broker, queue, count=count)
            return
        except RedisUnavailable as exc:
            log.warning("wake-up not sent", attempt=attempt, error=exc.message)
