"""Responses that carry a job, with Retry-After."""

from __future__ import annotations

import datetime as dt

from flask import Response

from api.http.responses import json_response
from api.jobs import polling
from guanwu.wire.jobs import Job


def job_response(job: Job, *, status: int = 200) -> Response:
    return add_retry_after(json_response(job, status=status), job)


def add_retry_after(response: Response, job: Job) -> Response:
    if not job.done:
        pause_s = polling.pause_s(job, now=dt.datetime.now(dt.UTC))
        response.headers["Retry-After"] = str(pause_s)
    return response
