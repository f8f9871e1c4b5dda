"""What the workers offer: models, methods and label sets."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.catalog import descriptions
from api.http import auth
from api.openapi import responses
from api.services.container import services
from guanwu.wire.base import Wire
from guanwu.wire.catalog import Catalog
from worker.contract.settings.model import Settings


class Limits(Wire):
    """What one request may carry, and what one image or job may be."""

    max_images_per_request: int
    max_request_bytes: int
    max_json_bytes: int
    max_image_bytes: int
    max_image_pixels: int
    max_archive_bytes: int
    max_job_images: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls.model_validate(settings.model_dump(include=set(cls.model_fields)))


class Offered(Catalog):
    """What there is to choose from, and how much of it."""

    limits: Limits


models = APIBlueprint(
    "models",
    __name__,
    url_prefix="/v1/models",
    abp_tags=[Tag(name="Models", description="What there is to choose from.")],
    abp_security=responses.BEARER,
    abp_responses=responses.guarded(422),
)
models.before_request(auth.require_tenant)


@models.get(
    "",
    operation_id="list_models",
    summary="Models, their methods and label sets",
    description=descriptions.MODELS,
    responses={200: responses.json_response("The catalogue.", Offered)},
)
def list_models() -> Response:
    catalog = services().offer.current() or Catalog()
    limits = Limits.of(services().settings)
    offered = Offered(models=catalog.models, label_sets=catalog.label_sets, limits=limits)
    return Response(offered.model_dump_json(), mimetype="application/json")
