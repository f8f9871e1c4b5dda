"""`GET /v1/jobs/{id}/report`: a job as one HTML file."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

from flask import Response, render_template
from pydantic import BaseModel, ConfigDict, Field

from api.jobs.lookup import finished_job
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.openapi.paths import JobPath
from api.report import descriptions
from api.report.contents import Contents, read_contents
from api.services.container import services
from worker.contract.errors import ReportsFull

report = api_blueprint(
    "report", __name__, tag="Results", url_prefix="/v1/jobs/<job_id>", problems=(404, 422)
)


class ReportQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lang: Literal["zh", "en"] = Field("zh", description="language of the report")


@report.get(
    "/report",
    operation_id="download_report",
    summary="A finished job as one HTML file, to read, print and keep",
    description=descriptions.REPORT,
    responses={200: responses.describe_html("The report."), **responses.problems(409)},
)
def download_report(path: JobPath, query: ReportQuery) -> Response:
    job = finished_job(path.job_id)
    if not services().limits.reports.acquire(blocking=False):
        raise ReportsFull("as many reports as are allowed are being made; come again soon")
    try:
        html, policy = render(read_contents(services(), job, query.lang))
    finally:
        services().limits.reports.release()
    response = Response(html, mimetype="text/html")
    response.headers["Content-Disposition"] = f'attachment; filename="{job.id}.html"'
    response.headers["Content-Security-Policy"] = f"{policy}; frame-ancestors 'none'; sandbox"
    return response


def render(contents: Contents) -> tuple[str, str]:
    """The report as HTML, and the policy that it names itself: pictures inside it, its own
    style, and nothing from anywhere."""
    style = render_template("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'"
    policy += "; form-action 'none'"
    return render_template("report.html", r=contents, style=style, policy=policy), policy
