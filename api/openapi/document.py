"""OpenAPI document at /openapi.json, and its page at /docs."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Protocol, cast

from flask import Blueprint, Flask, Response, current_app, render_template, url_for
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.http.problems import Problem
from api.openapi import operations
from api.openapi import responses as spec
from api.openapi.examples import PARAMETERS
from api.services.container import services
from worker.contract.settings.model import Settings

_REF = "#/components/schemas/{model}"
_DOMAINS = "guanwu_domains"  # of an application's extensions
Models = tuple[type[BaseModel], ...]
# Swagger UI sets styles and shows icons of its own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


class Domain(Protocol):
    """The module `examples` of a room.

    Attributes:
        REQUESTS: models of bodies that its views take.
        RESPONSES: models of bodies that its views answer with, each with an example.
        PARAMETERS: an example of each of its parameters, by name.
    """

    REQUESTS: Models
    RESPONSES: dict[type[BaseModel], Any]
    PARAMETERS: dict[str, Any]


def register(app: Flask, domains: Sequence[Domain], *, bodies: Mapping[str, Any]) -> None:
    """Serve the document and the page; both need no token and no network.

    Args:
        bodies: request bodies by operation id, for those that flask-openapi3 copies wrong.
    """
    app.extensions[_DOMAINS] = (domains, bodies)
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
    domains: Sequence[Domain]
    domains, bodies = app.extensions[_DOMAINS]
    requests = tuple(model for domain in domains for model in domain.REQUESTS)
    answers = {model: example for domain in domains for model, example in domain.RESPONSES.items()}
    complete: dict[str, Any] = json.loads(json.dumps(app.api_doc))
    complete["components"]["schemas"] = schemas = json.loads(
        _schemas(requests, (*answers, Problem))
    )
    operations.limit(schemas, settings)
    examples = operations.Examples(
        answers={model.__name__: example for model, example in answers.items()},
        parameters=dict(ChainMap(PARAMETERS, *(domain.PARAMETERS for domain in domains))),
    )
    for path in complete["paths"].values():
        for operation in path.values():
            operations.complete(operation, examples, bodies)
    return complete


@cache
def _schemas(requests: Models, responses: Models) -> str:
    """All schemas as pydantic writes them, as JSON: it takes long over them, and each document is
    changed. flask-openapi3 drops keywords it doesn't know."""
    modes = [(model, "validation") for model in requests]
    modes += [(model, "serialization") for model in responses]
    _, schema = models_json_schema(cast(Any, modes), ref_template=_REF)
    return json.dumps({**schema["$defs"], "JobEvent": spec.JOB_EVENT})


def _document() -> Response:
    body = json.dumps(document(cast(OpenAPI, current_app), services().settings), ensure_ascii=False)
    return Response(body, mimetype="application/json")


def _page() -> Response:
    page = Response(render_template("docs.html"), mimetype="text/html")
    page.headers["Content-Security-Policy"] = POLICY
    return page


def _start() -> Response:
    script = render_template("docs.js", document_url=url_for("docs.document"))
    return Response(script, mimetype="text/javascript")
