"""Examples of requests, responses and parameters of jobs."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from api.openapi.examples import JOB_ID
from guanwu.wire.jobs import Job, JobPage
from guanwu.wire.options import Options
from worker.contract.records.job_view import job_links

COUNTS = {
    "total": 1,
    "queued": 0,
    "running": 0,
    "succeeded": 1,
    "failed": 0,
    "cancelled": 0,
    "expired": 0,
}
QUEUED = {
    "id": JOB_ID,
    "status": "queued",
    "done": False,
    "created_at": "2026-01-02T03:04:05.678Z",
    "started_at": None,
    "finished_at": None,
    "counts": {**COUNTS, "queued": 1, "succeeded": 0},
    "position": 12,
    "planning": False,
    "images_per_s": None,
    "eta_s": 1.5,
    "expires_at": "2026-01-03T03:04:05.678Z",
    "lane": "hi",
    "chunk_images": 16,
    "source": None,
    "options": Options().model_dump(mode="json"),
    "metadata": {"batch": "2026-01"},
    "links": job_links(JOB_ID),
    "error": None,
}
DONE = {
    **QUEUED,
    "status": "succeeded",
    "done": True,
    "started_at": "2026-01-02T03:04:05.901Z",
    "finished_at": "2026-01-02T03:04:06.233Z",
    "counts": COUNTS,
    "position": None,
    "images_per_s": 3.0,
    "eta_s": None,
}
REQUESTS: tuple[type[BaseModel], ...] = ()
RESPONSES: dict[type[BaseModel], Any] = {
    Job: QUEUED,
    JobPage: {"items": [DONE], "next": None},
}
PARAMETERS: dict[str, Any] = {
    "wait": 20,
    "If-None-Match": 'W/"74719a8f72324712"',
    "Last-Event-ID": "74719a8f72324712",
}
EVENT = {
    "id": "74719a8f72324712",
    "event": "progress",
    "data": json.dumps(QUEUED, ensure_ascii=False),
}
