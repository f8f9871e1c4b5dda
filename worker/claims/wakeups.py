"""Send wake-ups from a worker process."""

from __future__ import annotations

import contextlib

from celery import Celery

from worker.contract.errors import RedisUnavailable
from worker.contract.lanes import QueueName
from worker.contract.records import broker


class WakeUpSender:
    """Wakes workers up; if the broker is away the sweeper does it later."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def __call__(self, queue: QueueName, count: int = 1) -> None:
        with contextlib.suppress(RedisUnavailable):
            broker.send(self._app, queue, count=count)
