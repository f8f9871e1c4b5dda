"""Results: pages of items, and files of all items."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.http import auth
from api.http.responses import json_response
from api.jobs.lookup import FoundJob, find_job, finished_job
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.openapi.paths import JobPath
from api.results import descriptions, filtering, reader
from api.results.links import with_links
from api.services.container import services
from api.services.job_index import Order, Query
from guanwu.wire.base import Verdict, Wire
from guanwu.wire.map_statistics import Explanations, ExplanationSummary
from guanwu.wire.results import ModelInfo, ResultPage
from guanwu.wire.statuses import Counts, ItemStatus, JobStatus
from worker.contract.errors import ArtifactNotFound, JobUnfinished, ObjectNotFound, RequestError
from worker.contract.objects import keys
from worker.contract.objects.store import JSONL

results = api_blueprint(
    "results", __name__, tag="Results", url_prefix="/v1/jobs/<job_id>", problems=(404, 422)
)


class ResultsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: Annotated[str, StringConstraints(pattern=filtering.AFTER)] | None = Field(
        None, description="`next` of the page before", json_schema_extra={"example": "19"}
    )
    offset: int | None = Field(
        None, ge=0, lt=10**12, description="items to skip, instead of `after`: any page at once"
    )
    limit: int = Field(50, ge=1, le=100)
    status: ItemStatus | None = Field(None, description="items that ended so")
    label: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="first label, in Chinese, in English or by its id"
    )
    score_from: float | None = Field(None, ge=0, le=1, description="of the first label, at least")
    score_below: float | None = Field(None, ge=0, le=1, description="of the first label")
    verdict: Verdict | None = Field(None, description="on the map of the first label")
    sort: Order | None = Field(
        None,
        description="what needs a look first: the least `score`, `margin` or `faithfulness`, the "
        "greatest `entropy`, or `disagreement` of two models; default: `index`",
    )
    order: Order | None = Field(
        None, description="the same as `sort`", json_schema_extra={"example": "margin"}
    )

    def to_query(self) -> Query:
        """Raises RequestError: two orders."""
        if self.sort and self.order and self.sort != self.order:
            raise RequestError("give `sort` or `order`, not both", field="order")
        filters = self.model_dump(exclude={"after", "offset", "limit", "sort", "order"})
        return Query(**filters, sort=self.sort or self.order or "index")


class Summary(Wire):
    """A finished job in numbers."""

    job: str
    status: JobStatus
    counts: Counts
    labels: dict[str, int] = Field(description="first labels, the most frequent first")
    errors: dict[str, int] = Field({}, description="items that did not succeed, by code")
    scores: dict[str, list[int]] = Field(
        {},
        description="of each model: how many pictures' first label scored 0 to 0.05, 0.05 to 0.1, "
        "... 0.95 to 1",
    )
    stages_ms: dict[str, float] = Field({}, description="what a picture took in each stage, mean")
    models: list[ModelInfo] = Field([], description="that ran, with what identifies them")
    devices: dict[str, int] = Field({}, description="pictures by the device that saw them")
    cached: int = Field(0, description="images that were answered without the model")
    wall_s: float
    explanations: ExplanationSummary | None = Field(
        None, description="of its maps; null: the job ended under an older version"
    )


@results.get(
    "/results",
    operation_id="list_results",
    summary="Finished items with labels and heatmap links",
    description=descriptions.RESULTS,
    responses={
        200: responses.describe_json("A page of items.", ResultPage),
        **responses.problems(409),
    },
)
def list_results(path: JobPath, query: ResultsQuery) -> Response:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    page = _read_page(job, query)
    items = [with_links(item, services().store) for item in page.items]
    shown = ResultPage(items=items, next=page.next, done=page.done, matched=page.matched)
    response = json_response(shown)
    if not page.done and not items:
        response.headers["Retry-After"] = "1"
    return response


def _read_page(job: FoundJob, query: ResultsQuery) -> reader.ItemsPage:
    if query.after is not None and query.offset is not None:
        raise RequestError("give `after` or `offset`, not both", field="offset")
    selection = query.to_query()
    if selection.plain:
        after = filtering.plain_after(query.after) if query.offset is None else query.offset - 1
        return reader.read_page(services(), job, after=after, limit=query.limit)
    if not job.view.done:
        raise JobUnfinished(
            f"the job is {job.view.status.value}; its results can be filtered and sorted when it "
            "is done, until then read them page by page"
        )
    return filtering.read_page(
        services(), job, selection, after=query.after, offset=query.offset, limit=query.limit
    )


@results.get(
    "/results.jsonl",
    operation_id="download_results",
    summary="All items of a finished job, one JSON object a line",
    responses={200: responses.describe_jsonl("All items."), **responses.problems(409)},
)
def download_results(path: JobPath) -> Response:
    job = finished_job(path.job_id)
    return _stream_file(keys.results(job.tenant, job.id), JSONL)


@results.get(
    "/errors.jsonl",
    operation_id="download_errors",
    summary="The items of a finished job that did not succeed, one JSON object a line",
    responses={
        200: responses.describe_jsonl("Items that did not succeed."),
        **responses.problems(409),
    },
)
def download_errors(path: JobPath) -> Response:
    job = finished_job(path.job_id)
    return _stream_file(keys.errors(job.tenant, job.id), JSONL)


@results.get(
    "/summary",
    operation_id="read_summary",
    summary="A finished job in numbers",
    responses={200: responses.describe_json("The summary.", Summary), **responses.problems(409)},
)
def read_summary(path: JobPath) -> Response:
    job = finished_job(path.job_id)
    return _stream_file(keys.summary(job.tenant, job.id), "application/json")


@results.get(
    "/explanations",
    operation_id="read_explanations",
    summary="Where a finished job's maps lie",
    description="Mean densities of each method's maps, of all pictures and of the most frequent "
    "first labels, with what the summary says of them. See docs/review.md.",
    responses={
        200: responses.describe_json("The densities.", Explanations),
        **responses.problems(409),
    },
)
def read_explanations(path: JobPath) -> Response:
    job = finished_job(path.job_id)
    return _stream_file(keys.explanations(job.tenant, job.id), "application/json")


def _stream_file(key: str, mimetype: str) -> Response:
    try:
        return Response(services().store.stream(key), mimetype=mimetype)
    except ObjectNotFound as exc:
        raise ArtifactNotFound(
            "the job ended without this file; read its results page by page"
        ) from exc
