"""One item of a job, and its artefacts."""

from __future__ import annotations

from pathlib import PurePath

from flask import Response, redirect
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response as BaseResponse

from api.http import auth
from api.http.responses import json_response
from api.jobs.lookup import find_job
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.openapi.paths import ITEM_CALLS, ItemPath
from api.results import descriptions, download_names, reader
from api.results.links import input_link, with_links
from api.services.container import services
from guanwu.wire.media import SUFFIXES
from guanwu.wire.results import Explanation, ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import ArtifactNotFound
from worker.contract.objects import keys

items = api_blueprint(
    "items", __name__, tag="Results", url_prefix="/v1/jobs/<job_id>/items", problems=(404, 422)
)


_NAMES = (
    *(f"overlay{suffix}" for suffix in SUFFIXES.values()),
    *("map.png", "figure.png", "compare.png", "thumbnail.webp"),
)


class ArtifactName(BaseConverter):
    """Any name but those of other calls on an item, so that they allow their methods alone."""

    regex = rf"(?!(?:{'|'.join(ITEM_CALLS)})(?:$|/))[^/]+"


class ArtifactPath(ItemPath):
    artifact: str = Field(
        description="`overlay.png` (or `.jpg`, `.webp`, as the job's `overlay_format` says), "
        "`map.png` or `figure.png` of a map; `compare.png` or `thumbnail.webp` of the item",
        json_schema_extra={"enum": list(_NAMES)},
    )


class ArtifactQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        None, description="of this model; by default the map of the top label"
    )
    method: str | None = Field(None, description="made by this method")


@items.get(
    "/<int:index>",
    operation_id="get_item",
    summary="One item with its labels, heatmap links, and a link to its picture",
    responses={200: responses.describe_json("The item.", ItemResult)},
)
def get_item(path: ItemPath) -> Response:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = with_links(reader.read_item(services(), job, path.index), services().store)
    return json_response(item.model_copy(update={"input": input_link(item, job.tenant)}))


@items.get(
    "/<int:index>/labels.json",
    operation_id="download_labels",
    summary="An item's labels.json, in storage",
    responses={302: descriptions.REDIRECT},
)
def download_labels(path: ItemPath) -> BaseResponse:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = reader.read_item(services(), job, path.index)
    if item.status is not ItemStatus.SUCCEEDED:
        raise _missing_error(item, "labels.json")
    key = keys.labels(job.tenant, job.id, path.index)
    return _redirect(key, download_names.of_labels(item))


@items.get(
    "/<int:index>/<artifact_name:artifact>",
    operation_id="download_artifact",
    summary="An item's heatmap, compare sheet or thumbnail, in storage",
    description=descriptions.ARTIFACT,
    responses={302: descriptions.REDIRECT},
)
def download_artifact(path: ArtifactPath, query: ArtifactQuery) -> BaseResponse:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = reader.read_item(services(), job, path.index)
    for kind, link in item.artifacts.items():
        if PurePath(link.key).name == path.artifact:
            return _redirect(link.key, download_names.of_item(item, kind, link.key))
    name = PurePath(path.artifact)
    explanation = choose_map(item.explanations, name.stem, model=query.model, method=query.method)
    if (
        explanation is None
        or PurePath(key := explanation.artifacts[name.stem].key).suffix != name.suffix
    ):
        raise _missing_error(item, path.artifact)
    return _redirect(key, download_names.of_map(item, explanation, name.stem, key))


def choose_map(
    explanations: list[Explanation], kind: str, *, model: str | None, method: str | None
) -> Explanation | None:
    """The first that has the artefact and fits; one that explains a label goes first."""
    fitting = [
        e
        for e in explanations
        if kind in e.artifacts and model in (None, e.model) and method in (None, e.method)
    ]
    return min(fitting, key=lambda e: e.target is None, default=None)


def _missing_error(item: ItemResult, artifact: str) -> ArtifactNotFound:
    if item.status is not ItemStatus.SUCCEEDED:
        why = f"the item is {item.status.value}"
    else:
        explanation = {
            kind + PurePath(link.key).suffix
            for e in item.explanations
            for kind, link in e.artifacts.items()
        }
        whole = {PurePath(link.key).name for link in item.artifacts.values()}
        names = ", ".join(sorted({"labels.json", *explanation, *whole}))
        why = f"it has {names}; ask for more in options.artifacts"
    return ArtifactNotFound(f"item {item.index} has no {artifact[:64]!r} of that kind: {why}")


def _redirect(key: str, filename: str) -> BaseResponse:
    return redirect(services().store.link(key, filename=filename).url, code=302)
