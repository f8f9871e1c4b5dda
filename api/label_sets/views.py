"""Label sets that clients make: of their own words, or of example pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from api.catalog import build_status
from api.http import auth, idempotency
from api.http.responses import json_response
from api.http.validation import parse_body
from api.label_sets import build, descriptions
from api.label_sets.requests import LabelSetRequest
from api.openapi import parameters, responses
from api.openapi.blueprints import api_blueprint
from api.services.container import services
from api.submissions import accept
from guanwu.wire.base import new_id
from guanwu.wire.label_sets import ClientSet, SetPage
from worker.contract.errors import LabelSetNotFound

label_sets = api_blueprint(
    "label_sets", __name__, tag="Label sets", url_prefix="/v1/labelsets", problems=(422,)
)


class SetPath(BaseModel):
    set_id: str = Field(
        description="the label set's id, `lbs_...`", json_schema_extra=parameters.LABEL_SET_ID
    )


class VersionQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int | None = Field(None, ge=1, le=999_999, description="default: the newest")


class SetsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(
        None,
        pattern=parameters.LABEL_SET_ID["pattern"],
        description="`next` of the page before",
        json_schema_extra={"example": "lbs_01K0ZJ5T3Q8M9X4V7B2N6C1D0F"},
    )


@label_sets.post(
    "",
    operation_id="make_label_set",
    summary="Make a label set of words or of example pictures",
    description=descriptions.LABEL_SET,
    openapi_extensions={
        "requestBody": responses.describe_body(
            LabelSetRequest, example=descriptions.LABEL_SET_EXAMPLE
        ),
        "parameters": [parameters.IDEMPOTENCY_KEY],
    },
    responses={
        201: responses.describe_json(
            "It is ready.", ClientSet, headers={**responses.CREATED, **responses.IDEMPOTENT}
        ),
        202: responses.describe_json(
            "It is being built: look at `Location` again.",
            ClientSet,
            headers={**responses.CREATED, **responses.POLL, **responses.IDEMPOTENT},
        ),
        **responses.problems(400, 409, 413),
    },
)
def make_label_set() -> Response:
    key, body = idempotency.read_key(request), request.get_data(cache=False)
    label_set = parse_body(LabelSetRequest, body)
    return idempotency.respond_once(
        ClientSet,
        key=key,
        payload=idempotency.hash_body("labelset", body),
        new_id=new_id("lbs"),
        find=_find_made,
        make=partial(_make, label_set),
        render=_respond_made,
    )


def _make(
    label_set: LabelSetRequest, set_id: str, renew: Callable[[], None] | None = None
) -> ClientSet:
    return build.make_version(
        services(),
        label_set,
        tenant=auth.tenant(),
        set_id=set_id,
        key=auth.key(),
        allowances=auth.allowances(),
        renew=renew,
    )


def _find_made(set_id: str) -> ClientSet | None:
    """The version that an earlier request made; None if its job never came to be."""
    try:
        version = services().client_sets.find(auth.tenant(), set_id)
    except LabelSetNotFound:
        return None
    if version.job is not None and not accept.find_accepted(services(), auth.tenant(), version.job):
        return None
    return build_status.refresh(services(), auth.tenant(), version)


def _respond_made(version: ClientSet) -> Response:
    response = _version_response(version, status=202 if version.status == "building" else 201)
    response.headers["Location"] = f"/v1/labelsets/{version.id}"
    return response


@label_sets.get(
    "",
    operation_id="list_label_sets",
    summary="List your label sets, the newest first",
    responses={200: responses.describe_json("A page of them.", SetPage)},
)
def list_label_sets(query: SetsQuery) -> Response:
    walk = services().client_sets.walk(auth.tenant(), before=query.after)
    versions = list(islice(walk, query.limit + 1))
    items = [
        build_status.refresh(services(), auth.tenant(), version)
        for version in versions[: query.limit]
    ]
    more = len(versions) > query.limit
    return json_response(SetPage(items=items, next=items[-1].id if more else None))


@label_sets.get(
    "/<set_id>",
    operation_id="get_label_set",
    summary="A version of a label set",
    responses={
        200: responses.describe_json("The version.", ClientSet, headers=responses.POLL),
        **responses.problems(404),
    },
)
def get_label_set(path: SetPath, query: VersionQuery) -> Response:
    name = path.set_id if query.version is None else f"{path.set_id}@{query.version}"
    version = services().client_sets.find(auth.tenant(), name)
    return _version_response(build_status.refresh(services(), auth.tenant(), version))


@label_sets.delete(
    "/<set_id>",
    operation_id="delete_label_set",
    summary="Delete a label set",
    description="No new job may name it. Those that run on it end well.",
    responses={204: {"description": "It is gone."}, **responses.problems(404)},
)
def delete_label_set(path: SetPath) -> Response:
    services().client_sets.hide(auth.tenant(), path.set_id)
    return Response(status=204)


def _version_response(version: ClientSet, *, status: int = 200) -> Response:
    response = json_response(version, status=status)
    if version.status == "building":
        response.headers["Retry-After"] = "1"
    return response
