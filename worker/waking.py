"""Sends wake-ups from a worker process."""

from __future__ import annotations

import contextlib

from celery import Celery

from worker.contract import queues
from worker.contract.errors import RedisUnavailable
from worker.contract.keys import QueueName


class Waker:
    """Wakes workers up; if the broker is away the sweeper does it later."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def __call__(self, queue: QueueName, count: int = 1) -> None:
        with contextlib.suppress(RedisUnavailable):
            queues.send(self._app, queue, count=count)
