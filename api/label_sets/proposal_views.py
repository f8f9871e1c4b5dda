"""What feedback would add to a label set: proposed, looked at, accepted."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import AwareDatetime, BeforeValidator, Field

from api.http import auth, body_limits
from api.http.validation import validated
from api.label_sets import descriptions
from api.label_sets import proposals as absorbing
from api.label_sets.views import SetPath
from api.openapi import parameters, responses
from api.services.container import services
from guanwu.wire.base import Wire
from guanwu.wire.label_sets import ClientSet, Proposal


def _read(given: object) -> dt.datetime:
    """JSON has no type for moments: they are text."""
    if not isinstance(given, str):
        raise ValueError("write date, time and zone, as 2026-01-02T03:04:05Z")
    return dt.datetime.fromisoformat(given)


Written = Annotated[AwareDatetime, BeforeValidator(_read, json_schema_input_type=AwareDatetime)]
MAX_LEFT_OUT = 10_000

proposals = APIBlueprint(
    "proposals",
    __name__,
    url_prefix="/v1/labelsets",
    abp_tags=[Tag(name="Label sets", description="Labels of your own.")],
    abp_security=responses.BEARER,
    abp_responses=responses.guarded(422),
)
proposals.before_request(auth.require_tenant)
proposals.before_request(body_limits.check_length)


class ProposalPath(SetPath):
    proposal_id: str = Field(
        description="the proposal's id, `lsp_...`", json_schema_extra=parameters.PROPOSAL_ID
    )


class AbsorbRequest(Wire):
    """Which feedback is looked at; by default all of yours."""

    since: Written | None = Field(None, description="made then or later")
    until: Written | None = Field(None, description="made before")
    job: str | None = Field(
        None, pattern=parameters.JOB_ID["pattern"], description="on items of this job"
    )


class AcceptRequest(Wire):
    """What of a proposal is accepted; by default all of it."""

    without: list[str] = Field(
        default_factory=list, max_length=MAX_LEFT_OUT, description="ids of feedback to leave out"
    )


@proposals.post(
    "/<set_id>/absorb",
    operation_id="absorb_feedback",
    summary="Propose what feedback would add to a label set",
    description=descriptions.ABSORB,
    openapi_extensions={
        "requestBody": responses.json_body(AbsorbRequest, required=False, example={})
    },
    responses={
        201: responses.json_response("The proposal.", Proposal, headers=responses.CREATED),
        **responses.problems(400, 404, 409, 413),
    },
)
def absorb_feedback(path: SetPath) -> Response:
    asked = validated(AbsorbRequest, request.get_data(cache=False) or b"{}")
    made = absorbing.propose(
        services(),
        auth.tenant(),
        path.set_id,
        since=asked.since,
        until=asked.until,
        job=asked.job,
    )
    response = Response(made.model_dump_json(), status=201, mimetype="application/json")
    response.headers["Location"] = f"/v1/labelsets/{made.label_set}/proposals/{made.id}"
    return response


@proposals.get(
    "/<set_id>/proposals/<proposal_id>",
    operation_id="get_proposal",
    summary="What feedback would add to a label set",
    responses={200: responses.json_response("The proposal.", Proposal), **responses.problems(404)},
)
def get_proposal(path: ProposalPath) -> Response:
    found = _found(path)
    return Response(found.model_dump_json(), mimetype="application/json")


@proposals.post(
    "/<set_id>/proposals/<proposal_id>/accept",
    operation_id="accept_proposal",
    summary="Make a version of a label set with what was proposed",
    description="A proposal is for the version it was made of, so it can be accepted once.",
    openapi_extensions={
        "requestBody": responses.json_body(AcceptRequest, required=False, example={})
    },
    responses={
        202: responses.json_response(
            "The version is being built: look at `Location` again.",
            ClientSet,
            headers={**responses.CREATED, **responses.POLL},
        ),
        **responses.problems(400, 404, 409, 413),
    },
)
def accept_proposal(path: ProposalPath) -> Response:
    proposal = _found(path)
    asked = validated(AcceptRequest, request.get_data(cache=False) or b"{}")
    made = absorbing.accept(
        services(),
        auth.tenant(),
        proposal,
        without=frozenset(asked.without),
        key=auth.key(),
        allowances=auth.allowances(),
    )
    response = Response(made.model_dump_json(), status=202, mimetype="application/json")
    response.headers["Location"] = f"/v1/labelsets/{made.id}"
    response.headers["Retry-After"] = "1"
    return response


def _found(path: ProposalPath) -> Proposal:
    services().client_sets.find(auth.tenant(), path.set_id)
    return services().client_sets.proposal(auth.tenant(), path.set_id, path.proposal_id)
