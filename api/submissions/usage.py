"""How many images the caller has submitted, and how many are left."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.http import auth
from api.openapi import responses
from api.services.container import services
from api.submissions import descriptions
from guanwu.wire.usage import ImagesUsed, Usage

usage = APIBlueprint(
    "usage",
    __name__,
    url_prefix="/v1/usage",
    abp_tags=[Tag(name="Usage", description="What was submitted, and what is left.")],
    abp_security=responses.BEARER,
    abp_responses=responses.guarded(),
)
usage.before_request(auth.require_tenant)


@usage.get(
    "",
    operation_id="read_usage",
    summary="Images submitted today and this month, and what is left",
    description=descriptions.USAGE,
    responses={200: responses.json_response("The account.", Usage)},
)
def read_usage() -> Response:
    own = auth.allowances()
    images = {
        allowance.period: ImagesUsed(
            used=used,
            limit=allowance.limit,
            left=allowance.left(used=used),
            resets_at=allowance.ends_at,
        )
        for allowance, used in zip(own, services().records.used(own), strict=True)
    }
    answer = Usage(tenant=auth.tenant(), key=auth.key(), images=images)
    return Response(answer.model_dump_json(), mimetype="application/json")
