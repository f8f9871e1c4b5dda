"""States of jobs and items."""

from __future__ import annotations

from enum import StrEnum

from guanwu.wire.base import Wire


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def done(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING)


class ItemStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Counts(Wire):
    """Items by state; the six always add up to `total`."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0


def settled_status(
    counts: Counts, *, cancelled: bool, expired: bool, broken: bool = False
) -> JobStatus:
    """The final status of a job none of whose items is queued or running.

    `broken`: its source could not be read to the end, so there may have been more.
    """
    if expired and counts.expired:
        return JobStatus.EXPIRED
    if cancelled and counts.cancelled:
        return JobStatus.CANCELLED
    if counts.succeeded == counts.total and not broken:
        return JobStatus.SUCCEEDED
    return JobStatus.PARTIALLY_SUCCEEDED if counts.succeeded else JobStatus.FAILED
