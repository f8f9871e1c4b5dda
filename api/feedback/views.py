"""Feedback: people say whether a label and its map are right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Annotated, Literal

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from ulid import ULID

from api.catalog import label_sets
from api.feedback import descriptions, export_coco, export_label_studio, requests
from api.feedback.pictures import keep_picture
from api.feedback.requests import FeedbackRequest
from api.http import auth, idempotency
from api.http.responses import created, json_response
from api.http.validation import Moment, parse_body
from api.jobs.lookup import FoundJob, find_job
from api.openapi import parameters, responses
from api.openapi.blueprints import api_blueprint
from api.openapi.paths import ItemPath, JobPath
from api.results import reader
from api.services.container import services
from guanwu.wire.feedback import Feedback, FeedbackList, FeedbackPage, Kind
from guanwu.wire.results import ItemResult
from worker.contract.errors import FeedbackNotFound
from worker.contract.objects.store import JSONL
from worker.contract.repositories.feedback import FeedbackRecords

feedback = api_blueprint("feedback", __name__, tag="Feedback", url_prefix="/v1", problems=(422,))


class FeedbackPath(BaseModel):
    feedback_id: str = Field(
        description="the feedback's id, `fbk_...`", json_schema_extra=parameters.FEEDBACK_ID
    )


class JobFeedbackQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    retracted: bool = Field(False, description="with what was taken back")


class FeedbackQuery(JobFeedbackQuery):
    after: Annotated[str, StringConstraints(pattern=parameters.FEEDBACK_ID["pattern"])] | None = (
        Field(
            None,
            description="`next` of the page before",
            json_schema_extra={"example": "fbk_01K0ZJ6A1B2C3D4E5F6G7H8J9K"},
        )
    )
    limit: int = Field(50, ge=1, le=100, description="of a page; exports have all")
    since: Moment | None = Field(None, description="made then or later")
    until: Moment | None = Field(None, description="made before")
    kind: Kind | None = None
    order: Literal["newest", "oldest"] = "newest"
    format: Literal["json", "jsonl", "label-studio", "coco"] = Field(
        "json", description="all but `json` have all, without pages; `coco` only has boxes"
    )

    def fits(self, judgement: Feedback) -> bool:
        return (
            (self.retracted or judgement.retracted_at is None)
            and (self.kind is None or judgement.kind == self.kind)
            and (self.since is None or judgement.created_at >= self.since)
            and (self.until is None or judgement.created_at < self.until)
        )


@feedback.post(
    "/jobs/<job_id>/items/<int:index>/feedback",
    operation_id="give_feedback",
    summary="Say whether an item's label and map are right",
    description=descriptions.FEEDBACK,
    openapi_extensions={
        "requestBody": responses.describe_body(
            FeedbackRequest, example={"kind": "wrong_label", "correct": "埃及猫"}
        ),
        "parameters": [parameters.IDEMPOTENCY_KEY],
    },
    responses={
        201: responses.describe_json(
            "It is kept.", Feedback, headers={**responses.CREATED, **responses.IDEMPOTENT}
        ),
        **responses.problems(400, 404, 409, 413),
    },
)
def give_feedback(path: ItemPath) -> Response:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = reader.read_item(services(), job, path.index)
    requests.check_succeeded(item)
    key, body = idempotency.read_key(request), request.get_data(cache=False)
    judgement = parse_body(FeedbackRequest, body)
    return idempotency.respond_once(
        Feedback,
        key=key,
        payload=idempotency.hash_item_body("feedback", job.id, path.index, body),
        new_id=str(ULID()),
        find=_find_kept,
        make=lambda ulid, _: _keep(job, item, judgement, ULID.from_str(ulid)),
        render=lambda feedback: created(feedback, f"/v1/feedback/{feedback.id}"),
    )


def _keep(job: FoundJob, item: ItemResult, judgement: FeedbackRequest, ulid: ULID) -> Feedback:
    """Raises RequestError or InvalidOptions: it does not fit the item."""
    feedback = requests.build_feedback(
        judgement,
        item,
        job.view.options,
        ulid=ulid,
        key=auth.key(),
        labels=partial(label_sets.scored_labels, services(), auth.tenant()),
    )
    address = keep_picture(services(), job, item)
    feedback = feedback.model_copy(update={"address": address})
    _records().add(auth.tenant(), feedback)
    return feedback


def _find_kept(ulid: str) -> Feedback | None:
    try:
        return _records().find(auth.tenant(), f"fbk_{ulid}")
    except FeedbackNotFound:
        return None


@feedback.get(
    "/jobs/<job_id>/feedback",
    operation_id="list_job_feedback",
    summary="Feedback on a job's items, the oldest first",
    responses={200: responses.describe_json("All of it.", FeedbackList), **responses.problems(404)},
)
def list_job_feedback(path: JobPath, query: JobFeedbackQuery) -> Response:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    judgements = _records().of_job(job.tenant, job.id)
    items = [
        judgement for judgement in judgements if query.retracted or judgement.retracted_at is None
    ]
    return json_response(FeedbackList(items=items))


@feedback.get(
    "/feedback",
    operation_id="list_feedback",
    summary="All your feedback, page by page or as an export",
    description=descriptions.FEEDBACK_EXPORT,
    responses={200: descriptions.feedback_response()},
)
def list_feedback(query: FeedbackQuery) -> Response:
    walk = _records().walk(
        auth.tenant(),
        after=query.after,
        newest=query.order == "newest",
        since=query.since,
        until=query.until,
    )
    judgements = (judgement for judgement in walk if query.fits(judgement))
    if query.format == "jsonl":
        return Response(_lines(judgements), mimetype=JSONL)
    if query.format == "label-studio":
        tasks = export_label_studio.write_tasks(judgements, services().store, auth.tenant())
        return Response(tasks, mimetype="application/json")
    if query.format == "coco":
        url = partial(export_label_studio.picture_url, store=services().store, tenant=auth.tenant())
        return Response(export_coco.write_document(judgements, url), mimetype="application/json")
    items = list(islice(judgements, query.limit + 1))
    more = len(items) > query.limit
    items = items[: query.limit]
    return json_response(FeedbackPage(items=items, next=items[-1].id if more else None))


@feedback.get(
    "/feedback/<feedback_id>",
    operation_id="get_feedback",
    summary="One judgement, taken back or not",
    responses={200: responses.describe_json("The feedback.", Feedback), **responses.problems(404)},
)
def get_feedback(path: FeedbackPath) -> Response:
    return json_response(_records().find(auth.tenant(), path.feedback_id))


@feedback.delete(
    "/feedback/<feedback_id>",
    operation_id="retract_feedback",
    summary="Take feedback back",
    description="It leaves lists and exports, unless they are asked with `retracted=true`.",
    responses={204: {"description": "It is taken back."}, **responses.problems(404)},
)
def retract_feedback(path: FeedbackPath) -> Response:
    _records().retract(auth.tenant(), path.feedback_id)
    return Response(status=204)


def _records() -> FeedbackRecords:
    return FeedbackRecords(services().store)


def _lines(judgements: Iterator[Feedback]) -> Iterator[str]:
    return (judgement.model_dump_json() + "\n" for judgement in judgements)
