"""Celery task of a wake-up: run the claim loop on this thread."""

from __future__ import annotations

from celery import Celery

from worker.claims.claim_loop import ClaimLoop
from worker.contract.records.broker import WAKE


def register(app: Celery, claim_loop: ClaimLoop) -> None:
    """Make `app` run the claim loop whenever a wake-up arrives."""

    @app.task(name=WAKE, ignore_result=True)
    def wake() -> None:
        claim_loop.run()
