"""Records of new jobs, for tests that put them into Redis themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from guanwu.wire.base import Lane
from guanwu.wire.options import Options
from guanwu.wire.requests import Source
from guanwu.wire.statuses import Counts, JobStatus
from worker.contract.records.job_record import JobRecord


def new_record(
    job: str,
    *,
    tenant: str = "one",
    lane: Lane = "bulk",
    total: int = 1,
    chunk_images: int = 1,
    options: Options | None = None,
    metadata: Mapping[str, Any] | None = None,
    source: Source | None = None,
    expires_ms: int | None = None,
    shard: str | None = None,
) -> JobRecord:
    """A job as the front door records it."""
    return JobRecord(
        job=job,
        tenant=tenant,
        lane=lane,
        status=JobStatus.QUEUED,
        counts=Counts(total=total, queued=total),
        options=options or Options(),
        metadata=dict(metadata or {}),
        chunk_images=chunk_images,
        chunks=-(-total // chunk_images),
        created_ms=time.time_ns() // 1_000_000,
        source=source,
        sealed=source is None,
        expires_ms=expires_ms,
        shard=shard,
    )
