"""Current status of all workers, as `guanwu top` shows it."""

from __future__ import annotations

from flask import Response

from api.http import auth
from api.http.responses import json_response
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.operations import descriptions
from api.services.container import services
from guanwu.wire.fleet import Fleet

workers = api_blueprint("workers", __name__, tag="Workers", url_prefix="/v1/workers")


@workers.get(
    "",
    operation_id="list_workers",
    summary="What the workers do now",
    description=descriptions.WORKERS,
    responses={200: responses.describe_json("The workers.", Fleet)},
)
def list_workers() -> Response:
    auth.require_scope("admin")
    load = services().records.queue.load()
    left = sum(load.pending.values())
    fleet = Fleet(
        processes=services().fleet.live(),
        pending=load.pending,
        chunks=services().records.queue.chunks(),
        images_per_s=load.images_per_s,
        eta_s=left / load.images_per_s if load.images_per_s else None,
    )
    return json_response(fleet)
