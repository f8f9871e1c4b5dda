"""One item of a job, and its artefacts."""

from __future__ import annotations

from pathlib import PurePath

from flask import Response, redirect
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response as BaseResponse

from api import auth, file_names, pages, spec
from api.found import find_job
from api.services import services
from guanwu.wire.media import SUFFIXES
from guanwu.wire.results import ArtifactLink, Explanation, ItemResult
from guanwu.wire.statuses import ItemStatus
from worker.contract.errors import ArtifactNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore

items = APIBlueprint(
    "items",
    __name__,
    url_prefix="/v1/jobs/<job_id>/items",
    abp_tags=[Tag(name="Results", description="Labels and heatmaps.")],
    abp_security=spec.BEARER,
    abp_responses=spec.guarded(404, 422),
)
items.before_request(auth.require_tenant)


_NAMES = (
    *(f"overlay{suffix}" for suffix in SUFFIXES.values()),
    *("map.png", "figure.png", "compare.png", "thumbnail.webp"),
)


class ArtifactName(BaseConverter):
    """Any name but those of other calls on an item, so that they allow their methods alone."""

    regex = r"(?!(?:feedback|explain)(?:$|/))[^/]+"


class ItemPath(BaseModel):
    job_id: str = Field(description="the job's id, `job_...`", json_schema_extra=spec.JOB_ID)
    index: int = Field(
        description="the item's index in its job, from 0", json_schema_extra={"minimum": 0}
    )


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
    responses={200: spec.json_response("The item.", ItemResult)},
)
def get_item(path: ItemPath) -> Response:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = linked(pages.read_item(services(), job, path.index), services().store)
    return _json(item.model_copy(update={"input": _input(item, job.tenant)}))


@items.get(
    "/<int:index>/labels.json",
    operation_id="download_labels",
    summary="An item's labels.json, in storage",
    responses={302: spec.REDIRECT},
)
def download_labels(path: ItemPath) -> BaseResponse:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = pages.read_item(services(), job, path.index)
    if item.status is not ItemStatus.SUCCEEDED:
        raise _missing(item, "labels.json")
    key = keys.labels(job.tenant, job.id, path.index)
    return _redirect(key, file_names.of_labels(item))


@items.get(
    "/<int:index>/<artifact_name:artifact>",
    operation_id="download_artifact",
    summary="An item's heatmap, compare sheet or thumbnail, in storage",
    description=spec.ARTIFACT,
    responses={302: spec.REDIRECT},
)
def download_artifact(path: ArtifactPath, query: ArtifactQuery) -> BaseResponse:
    job = find_job(services(), path.job_id, tenant=auth.tenant())
    item = pages.read_item(services(), job, path.index)
    for kind, link in item.artifacts.items():
        if PurePath(link.key).name == path.artifact:
            return _redirect(link.key, file_names.of_item(item, kind, link.key))
    name = PurePath(path.artifact)
    made = choose_map(item.explanations, name.stem, model=query.model, method=query.method)
    if made is None or PurePath(key := made.artifacts[name.stem].key).suffix != name.suffix:
        raise _missing(item, path.artifact)
    return _redirect(key, file_names.of_map(item, made, name.stem, key))


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


def linked(item: ItemResult, store: ObjectStore) -> ItemResult:
    """The item with a presigned link beside every artefact's key."""
    explanations = [
        explanation.model_copy(update={"artifacts": _map_links(item, explanation, store)})
        for explanation in item.explanations
    ]
    whole = {
        kind: _link(link.key, file_names.of_item(item, kind, link.key), store)
        for kind, link in item.artifacts.items()
    }
    return item.model_copy(update={"explanations": explanations, "artifacts": whole})


def _map_links(
    item: ItemResult, explanation: Explanation, store: ObjectStore
) -> dict[str, ArtifactLink]:
    return {
        kind: _link(link.key, file_names.of_map(item, explanation, kind, link.key), store)
        for kind, link in explanation.artifacts.items()
    }


def _link(key: str, filename: str, store: ObjectStore) -> ArtifactLink:
    link = store.link(key, filename=filename)
    return ArtifactLink(key=key, url=link.url, expires_at=link.expires_at)


def _input(item: ItemResult, tenant: str) -> ArtifactLink | None:
    """A link to what was submitted, if it lies under its hash and has not been deleted."""
    if item.image.sha256 is None:
        return None
    key = keys.input_key(tenant, item.image.sha256)
    if not services().store.exists(key):
        return None
    return _link(key, item.image.filename or str(item.index), services().store)


def _missing(item: ItemResult, artifact: str) -> ArtifactNotFound:
    if item.status is not ItemStatus.SUCCEEDED:
        why = f"the item is {item.status.value}"
    else:
        made = {
            kind + PurePath(link.key).suffix
            for e in item.explanations
            for kind, link in e.artifacts.items()
        }
        whole = {PurePath(link.key).name for link in item.artifacts.values()}
        names = ", ".join(sorted({"labels.json", *made, *whole}))
        why = f"it has {names}; ask for more in options.artifacts"
    return ArtifactNotFound(f"item {item.index} has no {artifact[:64]!r} of that kind: {why}")


def _redirect(key: str, filename: str) -> BaseResponse:
    return redirect(services().store.link(key, filename=filename).url, code=302)


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")
