"""The OpenAPI document at /openapi.json and a page to read and try it at /docs."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, render_template, url_for
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.openapi import operations
from api.openapi import responses as spec
from api.services.container import services
from worker.contract.settings.model import Settings

_REF = "#/components/schemas/{model}"
_MODELS = "guanwu_models"  # of an application's extensions
Models = tuple[type[BaseModel], ...]
# Swagger UI sets styles and shows icons of its own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


def register(app: Flask, *, requests: Models, responses: Models) -> None:
    """Serve the document and the page; both need no token and no network.

    Args:
        requests: models of bodies that views take.
        responses: models of bodies that views answer with.
    """
    app.extensions[_MODELS] = (requests, responses)
    assets = resources.files("flask_openapi3_swagger") / "templates" / "swagger"
    docs = Blueprint(
        "docs",
        __name__,
        template_folder="../web/templates",
        static_folder=str(assets),
        static_url_path="/docs/assets",
    )
    docs.add_url_rule("/openapi.json", "document", _document)
    docs.add_url_rule("/docs", "page", _page)
    docs.add_url_rule("/docs/start.js", "start", _start)
    app.register_blueprint(docs)


def document(app: OpenAPI, settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `app`, with the limits of its settings."""
    made: dict[str, Any] = json.loads(json.dumps(app.api_doc))
    made["components"]["schemas"] = schemas = json.loads(_schemas(*app.extensions[_MODELS]))
    operations.limit(schemas, settings)
    for path in made["paths"].values():
        for operation in path.values():
            operations.complete(operation)
    return made


@cache
def _schemas(requests: Models, responses: Models) -> str:
    """All schemas as pydantic writes them, as JSON: it takes long over them, and each document is
    changed. flask-openapi3 drops keywords it doesn't know."""
    modes = [(model, "validation") for model in requests]
    modes += [(model, "serialization") for model in responses]
    _, schema = models_json_schema(cast(Any, modes), ref_template=_REF)
    return json.dumps({**schema["$defs"], "JobEvent": spec.JOB_EVENT})


def _document() -> Response:
    made = document(cast(OpenAPI, current_app), services().settings)
    return Response(json.dumps(made, ensure_ascii=False), mimetype="application/json")


def _page() -> Response:
    page = Response(render_template("docs.html"), mimetype="text/html")
    page.headers["Content-Security-Policy"] = POLICY
    return page


def _start() -> Response:
    script = render_template("docs.js", document_url=url_for("docs.document"))
    return Response(script, mimetype="text/javascript")
