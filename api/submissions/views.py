"""Submit jobs: of new pictures, or of an item's picture again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from flask import Response, g, request

from api.http import auth, idempotency
from api.http.validation import parse_body
from api.jobs.lookup import find_job
from api.jobs.responses import job_response
from api.jobs.views import jobs
from api.openapi import parameters, responses
from api.openapi.paths import ItemPath
from api.results import reader
from api.services.container import services
from api.submissions import accept, bodies, descriptions, parsing, prefer_wait
from api.submissions.explain_item import resubmit_item
from api.submissions.submission import Submission
from guanwu.wire.base import new_id
from guanwu.wire.jobs import Job
from guanwu.wire.options import Options

__all__ = ["jobs"]  # with all of its calls: these are added to those of api.jobs.views


@jobs.post(
    "",
    operation_id="submit_job",
    summary="Submit pictures as a job",
    description=descriptions.SUBMIT,
    openapi_extensions={
        "requestBody": bodies.SUBMIT_BODY,
        "parameters": descriptions.SUBMIT_HEADERS,
    },
    responses={
        200: responses.describe_json(
            "With `Prefer: wait`: the job is done already.",
            prefer_wait.FinishedJob,
            headers=responses.ACCEPTED,
        ),
        202: responses.describe_json("The job is accepted.", Job, headers=responses.ACCEPTED),
        **responses.problems(400, 409, 413, 415, 429),
    },
)
def submit() -> Response:
    return _accept_once(parsing.read(request, services().settings, tenant=auth.tenant()))


def _accept_once(submission: Submission) -> Response:
    """Accept a submission; once under its Idempotency-Key if it has one."""
    return idempotency.respond_once(
        Job,
        key=idempotency.read_key(request),
        payload=submission.payload,
        new_id=new_id("job"),
        find=partial(accept.find_accepted, services(), auth.tenant()),
        make=lambda job, renew: accept.accept(
            services(),
            submission,
            tenant=auth.tenant(),
            allowances=auth.allowances(),
            job=job,
            renew=renew,
        ),
        render=_respond_accepted,
    )


def _respond_accepted(job: Job) -> Response:
    """202 at once; or, after the wait that the caller prefers, 200 with the results."""
    wait_s = prefer_wait.wait_s_of(request)
    waited = prefer_wait.WaitOutcome(applied=False)
    if wait_s is not None and auth.allows("read"):
        end_s = g.started_s + wait_s
        waited = prefer_wait.wait(services(), job, tenant=auth.tenant(), end_s=end_s)
    response = job_response(waited.job or job, status=200 if waited.job else 202)
    response.headers["Location"] = job.links["self"]
    if waited.applied:
        response.headers[prefer_wait.APPLIED] = f"wait={wait_s}"
    return response


@jobs.post(
    "/<job_id>/items/<int:index>/explain",
    operation_id="explain_item",
    summary="Ask again about an item's picture, as a job of its own",
    description=descriptions.EXPLAIN,
    openapi_extensions={
        "requestBody": responses.describe_body(Options, example=descriptions.EXPLAIN_OPTIONS),
        "parameters": [parameters.IDEMPOTENCY_KEY],
    },
    responses={
        202: responses.describe_json("The job is accepted.", Job, headers=responses.ACCEPTED),
        **responses.problems(400, 404, 409, 413),
    },
)
def explain_item(path: ItemPath) -> Response:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = reader.read_item(services(), job, path.index)
    body = request.get_data(cache=False)
    submission = resubmit_item(services(), job, item, parse_body(Options, body))
    payload = idempotency.hash_item_body("explain", job.id, path.index, body)
    return _accept_once(replace(submission, payload=payload))
