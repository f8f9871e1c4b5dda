"""Examples of requests, responses and parameters of submissions."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.jobs.examples import DONE
from api.openapi.examples import EXPIRES_AT, STORE
from api.results.examples import ITEM
from api.submissions.form_body import Envelope
from api.submissions.prefer_wait import FinishedJob
from api.submissions.uploads import UploadRequest
from guanwu.wire.requests import JobRequest, Upload
from guanwu.wire.usage import Usage

REQUESTS: tuple[type[BaseModel], ...] = (
    JobRequest,
    Envelope,
    UploadRequest,
)
RESPONSES: dict[type[BaseModel], Any] = {
    FinishedJob: {**DONE, "results": [ITEM]},
    Upload: {
        "id": "upl_01K0ZJ6W8R5T2Y9H3M7P4Q1S0A",
        "method": "PUT",
        "url": f"{STORE}/t/local/uploads/upl_01K0ZJ6W8R5T2Y9H3M7P4Q1S0A?X-Amz-...",
        "headers": {"Content-Type": "application/octet-stream"},
        "expires_at": EXPIRES_AT,
    },
    Usage: {
        "tenant": "local",
        "key": None,
        "images": {
            "day": {"used": 12, "limit": 1000, "left": 988, "resets_at": "2026-01-03T00:00:00Z"},
            "month": {
                "used": 340,
                "limit": None,
                "left": None,
                "resets_at": "2026-02-01T00:00:00Z",
            },
        },
    },
}
PARAMETERS: dict[str, Any] = {}
