"""Jobs: submit, watch, list, cancel, retry."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Response, g, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.datastructures import ETags
from werkzeug.http import parse_etags

from api import (
    auth,
    control,
    idempotency,
    intake,
    limits,
    pages,
    polling,
    spec,
    submission,
    waiting,
)
from api.found import find_job
from api.incoming import Submission
from api.items import ItemPath
from api.look_again import look_again
from api.retry import retry
from api.services import services
from api.validation import validated
from guanwu.wire.base import Wire
from guanwu.wire.jobs import Job
from guanwu.wire.options import Options
from worker.contract.errors import JobNotFound

jobs = APIBlueprint(
    "jobs",
    __name__,
    url_prefix="/v1/jobs",
    abp_tags=[Tag(name="Jobs", description="Submit pictures, watch and cancel.")],
    abp_security=spec.BEARER,
    abp_responses=spec.guarded(422),
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
        pattern=spec.JOB_ID["pattern"],
        description="`next` of the page before",
        json_schema_extra={"example": "job_01K0ZJ5T3Q8M9X4V7B2N6C1D0F"},
    )


class PollQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    wait: int = Field(
        0, ge=0, le=waiting.MAX_WAIT_S, description="seconds to wait for news of the job"
    )


class PollHeader(BaseModel):
    if_none_match: str = Field(
        "", alias="If-None-Match", description="`ETag` of the state that is known already"
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
    return _submitted(intake.read(request, services().settings, tenant=auth.tenant()))


def _submitted(asked: Submission) -> Response:
    """The answer to a submission: accepted, once under its Idempotency-Key if it has one."""
    key = idempotency.key_of(request)
    if key is None:
        job = submission.accept(
            services(), asked, tenant=auth.tenant(), allowances=auth.allowances()
        )
        return _accepted(job)
    once = idempotency.accept_once(
        services(), asked, tenant=auth.tenant(), allowances=auth.allowances(), key=key
    )
    response = _accepted(once.made)
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
    found = (_listed(job) for job in ids[: query.limit])
    page = [job for job in found if job is not None]
    more = len(ids) > query.limit
    return _json(JobPage(items=page, next=ids[query.limit - 1] if more else None))


def _listed(job: str) -> Job | None:
    """A job of the list; None if its record and its files have gone meanwhile."""
    try:
        return _seen(job)
    except JobNotFound:
        return None


@jobs.get(
    "/<job_id>",
    operation_id="get_job",
    summary="Status, counts and speed of a job",
    description=spec.GET_JOB,
    responses={
        200: spec.json_response("The job.", Job, headers=spec.STATE),
        304: {"description": "The job is as `If-None-Match` says.", "headers": spec.STATE},
        **spec.problems(404),
    },
)
def get_job(path: JobPath, query: PollQuery, header: PollHeader) -> Response:
    known = parse_etags(header.if_none_match)
    job = _seen(path.job_id)
    if query.wait and not job.done and (not known or _is_known(job, known)):
        polling.wait_for_news(
            services(),
            job.id,
            tenant=auth.tenant(),
            news=partial(_is_news, than=job, known=known),
            wait_s=query.wait,
        )
        job = _seen(job.id)
    response = Response(status=304) if _is_known(job, known) else _json(job)
    response.set_etag(polling.state_id(job), weak=True)
    return _with_pause(response, job)


def _is_known(job: Job, known: ETags) -> bool:
    return known.contains_weak(polling.state_id(job))


def _is_news(job: Job, *, than: Job, known: ETags) -> bool:
    """To who knows a state, any other; to others, another status."""
    return not _is_known(job, known) if known else job.status is not than.status


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


@jobs.post(
    "/<job_id>/items/<int:index>/explain",
    operation_id="explain_item",
    summary="Ask again about an item's picture, as a job of its own",
    description=spec.EXPLAIN,
    openapi_extensions={
        "requestBody": spec.json_body(Options, example=spec.EXPLAIN_OPTIONS),
        "parameters": [spec.IDEMPOTENCY_KEY],
    },
    responses={
        202: spec.json_response("The job is accepted.", Job, headers=spec.ACCEPTED),
        **spec.problems(400, 404, 409, 413),
    },
)
def explain_item(path: ItemPath) -> Response:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = pages.read_item(services(), job, path.index)
    body = request.get_data(cache=False)
    asked = look_again(services(), job, item, validated(Options, body))
    payload = idempotency.item_payload("explain", job.id, path.index, body)
    return _submitted(replace(asked, payload=payload))


def _seen(job: str) -> Job:
    return find_job(services(), job, tenant=auth.tenant(), ahead=True).view


def _job_response(job: Job, *, status: int = 200) -> Response:
    return _with_pause(_json(job, status=status), job)


def _with_pause(response: Response, job: Job) -> Response:
    if not job.done:
        pause_s = polling.pause_s(job, now=dt.datetime.now(dt.UTC))
        response.headers["Retry-After"] = str(pause_s)
    return response


def _json(body: BaseModel, *, status: int = 200, **extra: Any) -> Response:
    return Response(body.model_dump_json(), status=status, mimetype="application/json", **extra)
