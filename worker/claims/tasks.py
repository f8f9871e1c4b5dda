"""The Celery tasks. Thin: a wake-up only tells a thread to pump."""

from __future__ import annotations

from celery import Celery

from worker.claims.dispatcher import Pump
from worker.contract.records.broker import WAKE


def register(app: Celery, pump: Pump) -> None:
    """Make `app` pump whenever a wake-up arrives."""

    @app.task(name=WAKE, ignore_result=True)
    def wake() -> None:
        pump.run()
