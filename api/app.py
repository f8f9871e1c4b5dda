"""The front door's application factory."""

from __future__ import annotations

from importlib.metadata import version

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from api.catalog import examples as catalog_examples
from api.catalog.labels import labels
from api.catalog.models import models
from api.feedback import examples as feedback_examples
from api.feedback.views import feedback
from api.http import access_log, audit_log, body_limits, problems, rate_limits, tracing
from api.http.security_headers import set_security_headers
from api.jobs import examples as jobs_examples
from api.jobs.events import events
from api.label_sets import examples as label_sets_examples
from api.label_sets.proposal_views import proposals
from api.label_sets.views import label_sets
from api.openapi import document, introduction
from api.operations import examples as operations_examples
from api.operations import metrics
from api.operations.fleet import workers
from api.operations.health import health
from api.report.views import report
from api.results import examples as results_examples
from api.results.item_views import ArtifactName, items
from api.results.views import results
from api.services.container import attach, make_services
from api.submissions import examples as submissions_examples
from api.submissions.bodies import BODIES
from api.submissions.uploads import uploads
from api.submissions.usage import usage
from api.submissions.views import jobs
from api.web.page import page
from api.webhooks import examples as webhooks_examples
from api.webhooks.views import webhooks
from worker.contract.settings.model import Settings

DOMAINS: tuple[document.Domain, ...] = (
    jobs_examples,
    submissions_examples,
    results_examples,
    webhooks_examples,
    catalog_examples,
    feedback_examples,
    label_sets_examples,
    operations_examples,
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
        validation_error_callback=problems.respond_invalid,
        validation_error_model=problems.Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.strict_slashes = False
    app.url_map.converters["artifact_name"] = ArtifactName
    services = make_services(settings)
    attach(app, services)
    body_limits.configure(app, settings)
    app.before_request(body_limits.set_read_timeout)
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
    document.register(app, DOMAINS, bodies=BODIES)
    app.after_request(set_security_headers)
    return app
