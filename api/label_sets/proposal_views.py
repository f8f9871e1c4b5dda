"""Proposals to extend a label set by feedback: create, read, accept."""

from __future__ import annotations

from flask import Response, request
from pydantic import Field

from api.http import auth
from api.http.responses import created, json_response
from api.http.validation import Moment, parse_body
from api.label_sets import descriptions
from api.label_sets import proposals as absorbing
from api.label_sets.views import SetPath
from api.openapi import parameters, responses
from api.openapi.blueprints import api_blueprint
from api.services.container import services
from guanwu.wire.base import Wire
from guanwu.wire.label_sets import ClientSet, Proposal

MAX_LEFT_OUT = 10_000

proposals = api_blueprint(
    "proposals", __name__, tag="Label sets", url_prefix="/v1/labelsets", problems=(422,)
)


class ProposalPath(SetPath):
    proposal_id: str = Field(
        description="the proposal's id, `lsp_...`", json_schema_extra=parameters.PROPOSAL_ID
    )


class AbsorbRequest(Wire):
    """Which feedback is looked at; by default all of yours."""

    since: Moment | None = Field(None, description="made then or later")
    until: Moment | None = Field(None, description="made before")
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
        "requestBody": responses.describe_body(AbsorbRequest, required=False, example={})
    },
    responses={
        201: responses.describe_json("The proposal.", Proposal, headers=responses.CREATED),
        **responses.problems(400, 404, 409, 413),
    },
)
def absorb_feedback(path: SetPath) -> Response:
    scope = parse_body(AbsorbRequest, request.get_data(cache=False) or b"{}")
    proposal = absorbing.propose(
        services(),
        auth.tenant(),
        path.set_id,
        since=scope.since,
        until=scope.until,
        job=scope.job,
    )
    return created(proposal, f"/v1/labelsets/{proposal.label_set}/proposals/{proposal.id}")


@proposals.get(
    "/<set_id>/proposals/<proposal_id>",
    operation_id="get_proposal",
    summary="What feedback would add to a label set",
    responses={200: responses.describe_json("The proposal.", Proposal), **responses.problems(404)},
)
def get_proposal(path: ProposalPath) -> Response:
    return json_response(_find_proposal(path))


@proposals.post(
    "/<set_id>/proposals/<proposal_id>/accept",
    operation_id="accept_proposal",
    summary="Make a version of a label set with what was proposed",
    description="A proposal is for the version it was made of, so it can be accepted once.",
    openapi_extensions={
        "requestBody": responses.describe_body(AcceptRequest, required=False, example={})
    },
    responses={
        202: responses.describe_json(
            "The version is being built: look at `Location` again.",
            ClientSet,
            headers={**responses.CREATED, **responses.POLL},
        ),
        **responses.problems(400, 404, 409, 413),
    },
)
def accept_proposal(path: ProposalPath) -> Response:
    proposal = _find_proposal(path)
    choice = parse_body(AcceptRequest, request.get_data(cache=False) or b"{}")
    version = absorbing.accept(
        services(),
        auth.tenant(),
        proposal,
        without=frozenset(choice.without),
        key=auth.key(),
        allowances=auth.allowances(),
    )
    response = created(version, f"/v1/labelsets/{version.id}", status=202)
    response.headers["Retry-After"] = "1"
    return response


def _find_proposal(path: ProposalPath) -> Proposal:
    services().client_sets.find(auth.tenant(), path.set_id)
    return services().client_sets.proposal(auth.tenant(), path.set_id, path.proposal_id)
