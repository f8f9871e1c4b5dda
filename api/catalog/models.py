"""Catalogue of models, methods and label sets that workers offer."""

from __future__ import annotations

from flask import Response

from api.catalog import descriptions
from api.http.responses import json_response
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
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


models = api_blueprint("models", __name__, tag="Models", url_prefix="/v1/models", problems=(422,))


@models.get(
    "",
    operation_id="list_models",
    summary="Models, their methods and label sets",
    description=descriptions.MODELS,
    responses={200: responses.describe_json("The catalogue.", Offered)},
)
def list_models() -> Response:
    catalog = services().catalog.current() or Catalog()
    limits = Limits.of(services().settings)
    offered = Offered(models=catalog.models, label_sets=catalog.label_sets, limits=limits)
    return json_response(offered)
