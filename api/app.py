"""The front door's application factory."""

from __future__ import annotations

from importlib.metadata import version

from flask import Response, request
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel

from api import audit, docs, errors, limits, metrics, rates, request_log, request_trace, spec
from api.errors import Problem
from api.events import events
from api.feedback import FeedbackList, FeedbackPage, feedback
from api.form_body import Envelope
from api.health import Health, health
from api.items import ArtifactName, items
from api.jobs import JobPage, jobs
from api.judging import FeedbackRequest
from api.label_sets import SetPage, label_sets
from api.labels import FoundLabels, labels
from api.models import Offered, models
from api.page import page
from api.proposals import AbsorbRequest, AcceptRequest, proposals
from api.report.call import report
from api.results import ResultPage, Summary, results
from api.services import attach, make_services
from api.set_request import LabelSetRequest
from api.uploads import Upload, UploadRequest, uploads
from api.usage import Usage, usage
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
    webhooks,
)
from api.workers import workers
from guanwu.wire.fleet import Fleet
from guanwu.wire.label_sets import Proposal
from guanwu.wire.map_statistics import Explanations
from guanwu.wire.requests import JobRequest
from worker.contract.settings.model import Settings

_REQUESTS: tuple[type[BaseModel], ...] = (
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
_RESPONSES: tuple[type[BaseModel], ...] = (
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


def create_app(settings: Settings) -> OpenAPI:
    """Build the application. Connects to nothing yet, and reads no environment.

    Build it after the server's fork: connections and threads do not survive one.
    """
    app = OpenAPI(
        "api",
        info=Info(
            title="Guanwu 观物",
            version=version("guanwu-server"),
            description=spec.INTRODUCTION + spec.error_table(),
        ),
        security_schemes=spec.SECURITY_SCHEMES,
        validation_error_callback=errors.answer_invalid,
        validation_error_model=errors.Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.strict_slashes = False
    app.url_map.converters["artifact_name"] = ArtifactName
    services = make_services(settings)
    attach(app, services)
    limits.configure(app, settings)
    app.before_request(limits.bound_patience)
    request_log.register(app)
    request_trace.register(app, services.traces)
    audit.register(app)
    errors.register(app)
    metrics.register(app)
    rates.register(app, services)
    for blueprint in (
        jobs,
        events,
        results,
        report,
        items,
        feedback,
        uploads,
        webhooks,
        models,
        labels,
        label_sets,
        proposals,
        usage,
        workers,
        health,
        metrics.metrics,
    ):
        app.register_api(blueprint)
    app.register_blueprint(page)
    docs.register(app, requests=_REQUESTS, responses=_RESPONSES)
    app.after_request(_harden)
    return app


def _harden(response: Response) -> Response:
    """Headers that keep browsers from guessing, framing and remembering."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
    )
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.path.startswith("/v1/") or not response.headers.get("Cache-Control"):
        response.headers["Cache-Control"] = "no-store"
    return response
