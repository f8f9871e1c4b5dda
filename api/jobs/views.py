"""Jobs: submit, watch, list, cancel, retry."""

from __future__ import annotations

from functools import partial

from flask import Response
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.datastructures import ETags
from werkzeug.http import parse_etags

from api.http import auth
from api.http.responses import json_response
from api.jobs import cancel, descriptions, polling
from api.jobs.lookup import find_job
from api.jobs.polling import MAX_WAIT_S
from api.jobs.responses import add_retry_after, job_response
from api.jobs.retry import retry
from api.openapi import parameters, responses
from api.openapi.blueprints import api_blueprint
from api.openapi.paths import JobPath
from api.services.container import services
from guanwu.wire.jobs import Job, JobPage
from worker.contract.errors import JobNotFound

jobs = api_blueprint("jobs", __name__, tag="Jobs", url_prefix="/v1/jobs", problems=(422,))


class JobsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(
        None,
        pattern=parameters.JOB_ID["pattern"],
        description="`next` of the page before",
        json_schema_extra={"example": "job_01K0ZJ5T3Q8M9X4V7B2N6C1D0F"},
    )


class PollQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    wait: int = Field(0, ge=0, le=MAX_WAIT_S, description="seconds to wait for news of the job")


class PollHeader(BaseModel):
    if_none_match: str = Field(
        "", alias="If-None-Match", description="`ETag` of the state that is known already"
    )


@jobs.get(
    "",
    operation_id="list_jobs",
    summary="List your jobs, the newest first",
    responses={200: responses.describe_json("A page of jobs.", JobPage)},
)
def list_jobs(query: JobsQuery) -> Response:
    own = auth.tenant()
    ids = services().records.jobs.recent(own, limit=query.limit + 1, before=query.after)
    listed = (_find_listed(job) for job in ids[: query.limit])
    page = [job for job in listed if job is not None]
    more = len(ids) > query.limit
    return json_response(JobPage(items=page, next=ids[query.limit - 1] if more else None))


def _find_listed(job: str) -> Job | None:
    """A job of the list; None if its record and its files have gone meanwhile."""
    try:
        return _read_job(job)
    except JobNotFound:
        return None


@jobs.get(
    "/<job_id>",
    operation_id="get_job",
    summary="Status, counts and speed of a job",
    description=descriptions.GET_JOB,
    responses={
        200: responses.describe_json("The job.", Job, headers=responses.STATE),
        304: {"description": "The job is as `If-None-Match` says.", "headers": responses.STATE},
        **responses.problems(404),
    },
)
def get_job(path: JobPath, query: PollQuery, header: PollHeader) -> Response:
    known = parse_etags(header.if_none_match)
    job = _read_job(path.job_id)
    if query.wait and not job.done and (not known or _is_known(job, known)):
        polling.wait_for_change(
            services(),
            job.id,
            tenant=auth.tenant(),
            until=partial(_has_changed, since=job, known=known),
            wait_s=query.wait,
        )
        job = _read_job(job.id)
    response = Response(status=304) if _is_known(job, known) else json_response(job)
    response.set_etag(polling.state_id(job), weak=True)
    return add_retry_after(response, job)


def _is_known(job: Job, known: ETags) -> bool:
    return known.contains_weak(polling.state_id(job))


def _has_changed(job: Job, *, since: Job, known: ETags) -> bool:
    """To a client that knows a state, any other state; to others, another status."""
    return not _is_known(job, known) if known else job.status is not since.status


@jobs.post(
    "/<job_id>/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    description=descriptions.CANCEL,
    responses={
        200: responses.describe_json("The job was done already; nothing changes.", Job),
        202: responses.describe_json("The job is being cancelled.", Job, headers=responses.POLL),
        **responses.problems(404, 413),
    },
)
def cancel_job(path: JobPath) -> Response:
    find_job(services(), path.job_id, tenant=auth.tenant())
    cancel.cancel(services(), path.job_id, tenant=auth.tenant())
    job = _read_job(path.job_id)
    return job_response(job, status=200 if job.done else 202)


@jobs.post(
    "/<job_id>/retry",
    operation_id="retry_job",
    summary="Run the images of a finished job again that did not succeed",
    description=descriptions.RETRY,
    responses={
        202: responses.describe_json("They are queued again.", Job, headers=responses.POLL),
        **responses.problems(404, 409, 413, 429),
    },
)
def retry_job(path: JobPath) -> Response:
    retry(services(), find_job(services(), path.job_id, tenant=auth.tenant()))
    return job_response(_read_job(path.job_id), status=202)


def _read_job(job: str) -> Job:
    return find_job(services(), job, tenant=auth.tenant(), ahead=True).view
