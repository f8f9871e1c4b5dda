"""Jobs: submit, watch, list, cancel, retry."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Response, g, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from api import auth, control, idempotency, intake, limits, spec, submission, waiting
from api.found import find_job
from api.retry import retry
from api.services import services
from worker.contract.errors import JobNotFound
from worker.contract.job import Job, Wire
from worker.contract.record import Load

MAX_POLL_PAUSE_S = 10

jobs = APIBlueprint(
    "jobs",
    __name__,
    url_prefix="/v1/jobs",
    abp_tags=[Tag(name="Jobs", description="Submit pictures, watch and cancel.")],
    abp_security=spec.BEARER,
    abp_responses=spec.problems(401, 403, 422, 503),
)
jobs.before_request(auth.require_tenant)
jobs.before_request(limits.check_length)


class JobPath(BaseModel):
    job_id: str = Field(description="the job's id, `job_...`", json_schema_extra=spec.JOB_ID)


class JobsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(
        None,
        pattern=r"^job_[0-9A-HJKMNP-TV-Z]{26}$",
        description="`next` of the page before",
        json_schema_extra={"example": "job_01K0ZJ5T3Q8M9X4V7B2N6C1D0F"},
    )


class JobPage(Wire):
    """Jobs, the newest first."""

    items: list[Job]
    next: str | None = Field(description="`after` of the next page; null: there is none")


@jobs.post(
    "",
    operation_id="submit_job",
    summary="Submit pictures as a job",
    description=spec.SUBMIT,
    openapi_extensions={"requestBody": spec.SUBMIT_BODY, "parameters": spec.SUBMIT_HEADERS},
    responses={
        200: spec.json_response(
            "With `Prefer: wait`: the job is done already.",
            waiting.FinishedJob,
            headers=spec.ACCEPTED,
        ),
        202: spec.json_response("The job is accepted.", Job, headers=spec.ACCEPTED),
        **spec.problems(400, 409, 413, 415, 429),
    },
)
def submit() -> Response:
    asked = intake.read(request, services().settings, tenant=auth.tenant())
    key = idempotency.key_of(request)
    if key is None:
        return _accepted(submission.accept(services(), asked, tenant=auth.tenant()))
    once = idempotency.accept_once(services(), asked, tenant=auth.tenant(), key=key)
    response = _accepted(once.job)
    once.show(response)
    return response


def _accepted(job: Job) -> Response:
    """202 at once; or, after the wait that the caller prefers, 200 with the results."""
    wait_s = waiting.wait_s_of(request)
    waited = waiting.Waited(applied=False)
    if wait_s is not None and auth.allows("read"):
        end_s = g.started_s + wait_s
        waited = waiting.wait(services(), job, tenant=auth.tenant(), end_s=end_s)
    response = _job_response(waited.job or job, status=200 if waited.job else 202)
    response.headers["Location"] = job.links["self"]
    if waited.applied:
        response.headers[waiting.APPLIED] = f"wait={wait_s}"
    return response


@jobs.get(
    "",
    operation_id="list_jobs",
    summary="List your jobs, the newest first",
    responses={200: spec.json_response("A page of jobs.", JobPage)},
)
def list_jobs(query: JobsQuery) -> Response:
    own = auth.tenant()
    ids = services().records.recent(own, limit=query.limit + 1, before=query.after)
    load = cache(services().records.load)
    found = (_listed(job, load) for job in ids[: query.limit])
    page = [job for job in found if job is not None]
    more = len(ids) > query.limit
    return _json(JobPage(items=page, next=ids[query.limit - 1] if more else None))


def _listed(job: str, load: Callable[[], Load]) -> Job | None:
    """A job of the list; None if its record and its files have gone meanwhile."""
    try:
        return find_job(services(), job, tenant=auth.tenant(), load=load).view
    except JobNotFound:
        return None


@jobs.get(
    "/<job_id>",
    operation_id="get_job",
    summary="Status, counts and speed of a job",
    description=spec.GET_JOB,
    responses={
        200: spec.json_response("The job.", Job, headers=spec.POLL),
        **spec.problems(404),
    },
)
def get_job(path: JobPath) -> Response:
    return _job_response(_seen(path.job_id))


@jobs.post(
    "/<job_id>/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    description=spec.CANCEL,
    responses={
        200: spec.json_response("The job was done already; nothing changes.", Job),
        202: spec.json_response("The job is being cancelled.", Job, headers=spec.POLL),
        **spec.problems(404, 413),
    },
)
def cancel_job(path: JobPath) -> Response:
    find_job(services(), path.job_id, tenant=auth.tenant())
    control.cancel(services(), path.job_id, tenant=auth.tenant())
    job = _seen(path.job_id)
    return _job_response(job, status=200 if job.done else 202)


@jobs.post(
    "/<job_id>/retry",
    operation_id="retry_job",
    summary="Run the images of a finished job again that did not succeed",
    description=spec.RETRY,
    responses={
        202: spec.json_response("They are queued again.", Job, headers=spec.POLL),
        **spec.problems(404, 409, 413, 429),
    },
)
def retry_job(path: JobPath) -> Response:
    retry(services(), find_job(services(), path.job_id, tenant=auth.tenant()))
    return _job_response(_seen(path.job_id), status=202)


def _seen(job: str) -> Job:
    load = services().records.load
    return find_job(services(), job, tenant=auth.tenant(), load=load).view


def _job_response(job: Job, *, status: int = 200) -> Response:
    response = _json(job, status=status)
    if not job.done:
        response.headers["Retry-After"] = str(poll_pause_s(job.eta_s))
    return response


def poll_pause_s(eta_s: float | None) -> int:
    """Seconds until the next look pays: a quarter of what is left, 1 to 10."""
    return min(MAX_POLL_PAUSE_S, max(1, math.floor((eta_s or 0) / 4)))


def _json(body: BaseModel, *, status: int = 200, **extra: Any) -> Response:
    return Response(body.model_dump_json(), status=status, mimetype="application/json", **extra)
