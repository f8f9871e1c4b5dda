"""Label sets that clients make: of their own words, or of example pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from ulid import ULID

from api.catalog import build_status
from api.http import auth, body_limits, idempotency
from api.http.validation import validated
from api.label_sets import build, descriptions
from api.label_sets.requests import LabelSetRequest
from api.openapi import parameters, responses
from api.services.container import services
from api.submissions import accept
from guanwu.wire.label_sets import ClientSet, SetPage
from worker.contract.errors import LabelSetNotFound

label_sets = APIBlueprint(
    "label_sets",
    __name__,
    url_prefix="/v1/labelsets",
    abp_tags=[Tag(name="Label sets", description="Labels of your own.")],
    abp_security=responses.BEARER,
    abp_responses=responses.guarded(422),
)
label_sets.before_request(auth.require_tenant)
label_sets.before_request(body_limits.check_length)


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
        "requestBody": responses.json_body(LabelSetRequest, example=descriptions.LABEL_SET_EXAMPLE),
        "parameters": [parameters.IDEMPOTENCY_KEY],
    },
    responses={
        201: responses.json_response(
            "It is ready.", ClientSet, headers={**responses.CREATED, **responses.IDEMPOTENT}
        ),
        202: responses.json_response(
            "It is being built: look at `Location` again.",
            ClientSet,
            headers={**responses.CREATED, **responses.POLL, **responses.IDEMPOTENT},
        ),
        **responses.problems(400, 409, 413),
    },
)
def make_label_set() -> Response:
    key, body = idempotency.key_of(request), request.get_data(cache=False)
    asked = validated(LabelSetRequest, body)
    if key is None:
        return _made(_make(asked, f"lbs_{ULID()}"))
    payload = idempotency.body_payload("labelset", body)
    mark = services().marks.begin(auth.tenant(), key, payload=payload, made=f"lbs_{ULID()}")
    once = idempotency.once(
        services().marks,
        mark,
        ClientSet,
        find=_kept,
        make=lambda mark: _make(asked, mark.made, hold=partial(services().marks.renew, mark)),
    )
    response = _made(once.made)
    once.show(response)
    return response


def _make(
    asked: LabelSetRequest, set_id: str, *, hold: Callable[[], None] | None = None
) -> ClientSet:
    return build.make_version(
        services(),
        asked,
        tenant=auth.tenant(),
        set_id=set_id,
        key=auth.key(),
        allowances=auth.allowances(),
        hold=hold,
    )


def _kept(set_id: str) -> ClientSet | None:
    """What an earlier request came to make; None if its job never came to be."""
    try:
        found = services().client_sets.find(auth.tenant(), set_id)
    except LabelSetNotFound:
        return None
    if found.job is not None and not accept.made_job(services(), auth.tenant(), found.job):
        return None
    return build_status.seen(services(), auth.tenant(), found)


def _made(made: ClientSet) -> Response:
    response = _json(made, status=202 if made.status == "building" else 201)
    response.headers["Location"] = f"/v1/labelsets/{made.id}"
    return response


@label_sets.get(
    "",
    operation_id="list_label_sets",
    summary="List your label sets, the newest first",
    responses={200: responses.json_response("A page of them.", SetPage)},
)
def list_label_sets(query: SetsQuery) -> Response:
    walk = services().client_sets.walk(auth.tenant(), before=query.after)
    found = list(islice(walk, query.limit + 1))
    items = [build_status.seen(services(), auth.tenant(), one) for one in found[: query.limit]]
    more = len(found) > query.limit
    return _json(SetPage(items=items, next=items[-1].id if more else None))


@label_sets.get(
    "/<set_id>",
    operation_id="get_label_set",
    summary="A version of a label set",
    responses={
        200: responses.json_response("The version.", ClientSet, headers=responses.POLL),
        **responses.problems(404),
    },
)
def get_label_set(path: SetPath, query: VersionQuery) -> Response:
    name = path.set_id if query.version is None else f"{path.set_id}@{query.version}"
    found = services().client_sets.find(auth.tenant(), name)
    return _json(build_status.seen(services(), auth.tenant(), found))


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


def _json(body: BaseModel, *, status: int = 200) -> Response:
    response = Response(body.model_dump_json(), status=status, mimetype="application/json")
    if isinstance(body, ClientSet) and body.status == "building":
        response.headers["Retry-After"] = "1"
    return response
