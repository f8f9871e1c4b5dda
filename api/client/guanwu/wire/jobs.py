"""A job as the API answers it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field

from guanwu.wire.base import ListPage, Wire
from guanwu.wire.options import Options
from guanwu.wire.requests import JobWebhook, Source
from guanwu.wire.statuses import Counts, JobStatus


class ItemError(Wire):
    code: str
    message: str
    retryable: bool = False


class Job(Wire):
    """A job as `GET /v1/jobs/{id}` answers it."""

    id: str
    status: JobStatus
    done: bool
    created_at: dt.datetime
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    counts: Counts
    position: int | None = Field(None, description="images ahead in the queue; null once done")
    planning: bool = Field(False, description="the source is still being read: total grows")
    images_per_s: float | None = None
    eta_s: float | None = None
    expires_at: dt.datetime | None = None
    lane: Literal["hi", "bulk"] | None = None
    chunk_images: int | None = None
    source: Source | None = None
    runs: int = Field(1, description="how often the job was begun: one more for each retry")
    options: Options
    webhook: JobWebhook | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)
    error: ItemError | None = None


class JobPage(ListPage[Job]):
    """Jobs, the newest first."""

    next: str | None = Field(description="`after` of the next page; null: there is none")
