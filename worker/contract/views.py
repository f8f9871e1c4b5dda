"""A job's record as clients see it: the `Job` of WIRE."""

from __future__ import annotations

from worker.contract.job import Job, JobStatus, from_ms
from worker.contract.records import JobRecord


def job_view(record: JobRecord, *, now_ms: int) -> Job:
    """What `GET /v1/jobs/{id}` answers at `now_ms`."""
    rate = _images_per_s(record, now_ms)
    done = record.status.done
    return Job(
        id=record.job,
        status=record.status,
        done=done,
        created_at=from_ms(record.created_ms),
        started_at=None if record.started_ms is None else from_ms(record.started_ms),
        finished_at=None if record.finished_ms is None else from_ms(record.finished_ms),
        counts=record.counts,
        planning=not record.sealed,
        images_per_s=None if rate is None else round(rate, 2),
        eta_s=None if done or not rate else round(record.left / rate, 1),
        expires_at=None if record.expires_ms is None else from_ms(record.expires_ms),
        lane=record.lane,
        chunk_images=record.chunk_images,
        source=record.source,
        options=record.options,
        metadata=record.metadata,
        links=job_links(record.job),
        error=record.error,
    )


def job_links(job: str) -> dict[str, str]:
    base = f"/v1/jobs/{job}"
    return {
        "self": base,
        "results": f"{base}/results",
        "results_jsonl": f"{base}/results.jsonl",
        "errors_jsonl": f"{base}/errors.jsonl",
        "cancel": f"{base}/cancel",
    }


def _images_per_s(record: JobRecord, now_ms: int) -> float | None:
    ended = record.counts.succeeded + record.counts.failed
    if record.started_ms is None or not ended:
        return None
    if record.status is JobStatus.CANCELLING:
        return None
    return ended / max(0.001, ((record.finished_ms or now_ms) - record.started_ms) / 1000)
