"""Wake-ups: messages that tell workers of new work in a queue."""

from __future__ import annotations

import structlog

from api.services.container import Services
from worker.contract.errors import RedisUnavailable
from worker.contract.lanes import QueueName
from worker.contract.records.broker import send

log = structlog.get_logger(__name__)

WAKE_UPS = 8  # at most, a job; workers go on by themselves while there is work


def wake(services: Services, queue: QueueName, *, count: int = 1) -> None:
    """Wake the workers of a queue. If the broker is away the sweeper does it later.

    A worker that takes a wake-up finds all work that is ready by then, so one more beside many
    that nobody has taken is of no use.
    """
    for attempt in (1, 2):  # the first may meet a connection that a restart has cut
        try:
            if services.records.queue.queued_wake_ups(queue) < WAKE_UPS:
                send(services.broker, queue, count=count)
            return
        except RedisUnavailable as exc:
            log.warning("wake-up not sent", attempt=attempt, error=exc.message)
