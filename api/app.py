"""The front door's application factory."""

from __future__ import annotations

from importlib.metadata import version

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel

from api.catalog.labels import labels
from api.catalog.models import Offered, models
from api.feedback.requests import FeedbackRequest
from api.feedback.views import feedback
from api.http import access_log, audit_log, body_limits, problems, rate_limits, tracing
from api.http.problems import Problem
from api.http.security_headers import harden
from api.jobs.events import events
from api.label_sets.proposal_views import AbsorbRequest, AcceptRequest, proposals
from api.label_sets.requests import LabelSetRequest
from api.label_sets.views import label_sets
from api.openapi import document, introduction
from api.operations import metrics
from api.operations.fleet import workers
from api.operations.health import Health, health
from api.report.views import report
from api.results.item_views import ArtifactName, items
from api.results.views import Summary, results
from api.services.container import attach, make_services
from api.submissions.form_body import Envelope
from api.submissions.prefer_wait import FinishedJob
from api.submissions.uploads import UploadRequest, uploads
from api.submissions.usage import usage
from api.submissions.views import jobs
from api.web.page import page
from api.webhooks.schemas import RotateRequest, WebhookRequest
from api.webhooks.views import webhooks
from guanwu.wire.feedback import FeedbackList, FeedbackPage
from guanwu.wire.fleet import Fleet
from guanwu.wire.jobs import JobPage
from guanwu.wire.label_sets import FoundLabels, Proposal, SetPage
from guanwu.wire.map_statistics import Explanations
from guanwu.wire.requests import JobRequest, Upload
from guanwu.wire.results import ResultPage
from guanwu.wire.usage import Usage
from guanwu.wire.webhooks import (
    AttemptPage,
    NewWebhook,
    QueuedDelivery,
    SigningSecret,
    WebhookList,
    WebhookView,
)
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
            description=introduction.INTRODUCTION + introduction.error_table(),
        ),
        security_schemes=introduction.SECURITY_SCHEMES,
        validation_error_callback=problems.answer_invalid,
        validation_error_model=problems.Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.strict_slashes = False
    app.url_map.converters["artifact_name"] = ArtifactName
    services = make_services(settings)
    attach(app, services)
    body_limits.configure(app, settings)
    app.before_request(body_limits.bound_patience)
    access_log.register(app)
    tracing.register(app, services.traces)
    audit_log.register(app)
    problems.register(app)
    metrics.register(app)
    rate_limits.register(app, services)
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
    document.register(app, requests=_REQUESTS, responses=_RESPONSES)
    app.after_request(harden)
    return app
