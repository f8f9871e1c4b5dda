"""View of a job's record: the `Job` that clients get."""

from __future__ import annotations

from guanwu.wire.base import from_ms
from guanwu.wire.jobs import Job
from guanwu.wire.statuses import JobStatus
from worker.contract.records.job_record import JobRecord, Load


def job_view(record: JobRecord, *, now_ms: int, load: Load | None = None) -> Job:
    """The answer of `GET /v1/jobs/{id}` at `now_ms`.

    With the `load` of all workers it says how many images are ahead of a job that waits,
    and guesses its end by their pace until it has a pace of its own.
    """
    rate = _images_per_s(record, now_ms)
    done = record.status.done
    ahead = _images_ahead(record, load)
    return Job(
        id=record.job,
        status=record.status,
        done=done,
        created_at=from_ms(record.created_ms),
        started_at=None if record.started_ms is None else from_ms(record.started_ms),
        finished_at=None if record.finished_ms is None else from_ms(record.finished_ms),
        counts=record.counts,
        position=ahead,
        planning=not record.sealed,
        images_per_s=None if rate is None else round(rate, 2),
        eta_s=_eta_s(record, rate, ahead or 0, load),
        expires_at=None if record.expires_ms is None else from_ms(record.expires_ms),
        lane=record.lane,
        chunk_images=record.chunk_images,
        source=record.source,
        runs=record.runs,
        webhook=record.webhook,
        options=record.options,
        metadata=record.metadata,
        links=job_links(record.job),
        error=record.error,
    )


def job_links(job: str) -> dict[str, str]:
    base = f"/v1/jobs/{job}"
    return {
        "self": base,
        "events": f"{base}/events",
        "results": f"{base}/results",
        "results_jsonl": f"{base}/results.jsonl",
        "errors_jsonl": f"{base}/errors.jsonl",
        "summary": f"{base}/summary",
        "report": f"{base}/report",
        "explanations": f"{base}/explanations",
        "cancel": f"{base}/cancel",
        "retry": f"{base}/retry",
    }


def _images_ahead(record: JobRecord, load: Load | None) -> int | None:
    if record.status.done or load is None:
        return None
    if record.status is not JobStatus.QUEUED:
        return 0
    return max(0, load.pending[record.lane] - record.left)


def _eta_s(record: JobRecord, rate: float | None, ahead: int, load: Load | None) -> float | None:
    if record.status.done:
        return None
    if rate:
        return round(record.left / rate, 1)
    if load is None or not load.images_per_s or record.status is JobStatus.CANCELLING:
        return None
    return round((ahead + record.left) / load.images_per_s, 1)


def _images_per_s(record: JobRecord, now_ms: int) -> float | None:
    ended = record.counts.succeeded + record.counts.failed
    if record.started_ms is None or not ended:
        return None
    if record.status is JobStatus.CANCELLING:
        return None
    return ended / max(0.001, ((record.finished_ms or now_ms) - record.started_ms) / 1000)
