"""The workers as they are now: what `guanwu top` shows."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.http import auth
from api.openapi import responses
from api.operations import descriptions
from api.services.container import services
from guanwu.wire.fleet import Fleet

workers = APIBlueprint(
    "workers",
    __name__,
    url_prefix="/v1/workers",
    abp_tags=[Tag(name="Workers", description="What they do, and what holds them up.")],
    abp_security=responses.BEARER,
    abp_responses=responses.guarded(),
)
workers.before_request(auth.require_tenant)


@workers.get(
    "",
    operation_id="list_workers",
    summary="What the workers do now",
    description=descriptions.WORKERS,
    responses={200: responses.json_response("The workers.", Fleet)},
)
def list_workers() -> Response:
    auth.require_scope("admin")
    load = services().records.load()
    left = sum(load.pending.values())
    fleet = Fleet(
        processes=services().pulses.live(),
        pending=load.pending,
        chunks=services().records.chunks(),
        images_per_s=load.images_per_s,
        eta_s=left / load.images_per_s if load.images_per_s else None,
    )
    return Response(fleet.model_dump_json(), mimetype="application/json")
