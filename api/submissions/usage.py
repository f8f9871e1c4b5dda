"""Usage of the caller's quota of images."""

from __future__ import annotations

from flask import Response

from api.http import auth
from api.http.responses import json_response
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.services.container import services
from api.submissions import descriptions
from guanwu.wire.usage import ImagesUsed, Usage

usage = api_blueprint("usage", __name__, tag="Usage", url_prefix="/v1/usage")


@usage.get(
    "",
    operation_id="read_usage",
    summary="Images submitted today and this month, and what is left",
    description=descriptions.USAGE,
    responses={200: responses.describe_json("The account.", Usage)},
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
        for allowance, used in zip(own, services().records.queue.used(own), strict=True)
    }
    return json_response(Usage(tenant=auth.tenant(), key=auth.key(), images=images))
