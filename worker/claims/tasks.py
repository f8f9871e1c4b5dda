"""The Celery tasks. Thin: a wake-up only tells a thread to pump."""

from __future__ import annotations

from celery import Celery

from worker.claims.dispatcher import ClaimLoop
from worker.contract.records.broker import WAKE


def register(app: Celery, claim_loop: ClaimLoop) -> None:
    """Make `app` pump whenever a wake-up arrives."""

    @app.task(name=WAKE, ignore_result=True)
    def wake() -> None:
        claim_loop.run()
