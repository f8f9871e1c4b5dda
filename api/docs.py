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

from api import described, spec
from api.errors import Problem
from api.feedback import FeedbackList, FeedbackPage
from api.form_body import Envelope
from api.health import Health
from api.jobs import JobPage
from api.judging import FeedbackRequest
from api.label_sets import SetPage
from api.labels import FoundLabels
from api.models import Offered
from api.proposals import AbsorbRequest, AcceptRequest
from api.results import ResultPage, Summary
from api.services import services
from api.set_request import LabelSetRequest
from api.uploads import Upload, UploadRequest
from api.usage import Usage
from api.waiting import FinishedJob
from api.webhooks import (
    AttemptPage,
    NewWebhook,
    QueuedDelivery,
    RotateRequest,
    SigningSecret,
    WebhookList,
    WebhookRequest,
    WebhookView,
)
from guanwu.wire.fleet import Fleet
from guanwu.wire.label_sets import Proposal
from guanwu.wire.map_statistics import Explanations
from guanwu.wire.requests import JobRequest
from worker.contract.settings.model import Settings

_REF = "#/components/schemas/{model}"
_TAKEN: tuple[type[BaseModel], ...] = (
    JobRequest,
    Envelope,
    UploadRequest,
    WebhookRequest,
    RotateRequest,
    FeedbackRequest,
    LabelSetRequest,
    AbsorbRequest,
    AcceptRequest,
)
_GIVEN: tuple[type[BaseModel], ...] = (
    JobPage,
    FinishedJob,
    ResultPage,
    Summary,
    Explanations,
    Upload,
    WebhookView,
    NewWebhook,
    WebhookList,
    SigningSecret,
    AttemptPage,
    QueuedDelivery,
    Offered,
    FoundLabels,
    SetPage,
    Proposal,
    Fleet,
    FeedbackList,
    FeedbackPage,
    Usage,
    Health,
    Problem,
)
# Swagger UI sets styles and shows icons of its own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


def register(app: Flask) -> None:
    """Serve the document and the page; both need no token and no network."""
    assets = resources.files("flask_openapi3_swagger") / "templates" / "swagger"
    docs = Blueprint(
        "docs",
        __name__,
        template_folder="web/templates",
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
    made["components"]["schemas"] = schemas = json.loads(_schemas())
    described.limit(schemas, settings)
    for path in made["paths"].values():
        for operation in path.values():
            described.complete(operation)
    return made


@cache
def _schemas() -> str:
    """All schemas as pydantic writes them, as JSON: it takes long over them, and each document is
    changed. flask-openapi3 drops keywords it doesn't know."""
    modes = [(model, "validation") for model in _TAKEN]
    modes += [(model, "serialization") for model in _GIVEN]
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
