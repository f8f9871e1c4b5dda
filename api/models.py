"""What the workers offer: models, methods and label sets."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api import auth, spec
from api.services import services
from worker.contract.catalog import Catalog

models = APIBlueprint(
    "models",
    __name__,
    url_prefix="/v1/models",
    abp_tags=[Tag(name="Models", description="What there is to choose from.")],
    abp_security=spec.BEARER,
    abp_responses=spec.problems(401, 422, 503),
)
models.before_request(auth.require_tenant)


@models.get(
    "",
    operation_id="list_models",
    summary="Models, their methods and label sets",
    description=spec.MODELS,
    responses={200: spec.json_response("The catalogue.", Catalog)},
)
def list_models() -> Response:
    catalog = services().offer.current() or Catalog()
    return Response(catalog.model_dump_json(), mimetype="application/json")
