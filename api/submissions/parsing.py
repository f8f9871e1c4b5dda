"""Parse and validate the body of `POST /v1/jobs`. Stores nothing."""

from __future__ import annotations

from dataclasses import replace

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api.http import body_limits, idempotency
from api.submissions.form_body import read_form
from api.submissions.json_body import read_json
from api.submissions.submission import Submission
from worker.contract.errors import UnsupportedContentType
from worker.contract.settings.model import Settings
from worker.contract.webhook import check_target


def read(request: Request, settings: Settings, *, tenant: str) -> Submission:
    """Read a request.

    Raises:
        UnsupportedContentType: neither a form with files nor JSON.
        RequestError, InvalidOptions, InputForbidden, TooManyImages, RequestTooLarge:
            each names the field and the remedy.
    """
    try:
        submission = _read(request, settings, tenant)
    except RequestEntityTooLarge as exc:
        raise body_limits.too_large(settings) from exc
    body_limits.check_metadata(submission.metadata)
    if submission.webhook is not None:
        check_target(submission.webhook.url, settings.allowed_addresses, field="webhook.url")
    return submission


def _read(request: Request, settings: Settings, tenant: str) -> Submission:
    keyed = idempotency.HEADER in request.headers
    if request.mimetype == body_limits.MULTIPART:
        form = read_form(request, settings)
        return replace(form, payload=idempotency.hash_form(request)) if keyed else form
    if request.mimetype == "application/json":
        body = request.get_data(cache=False)
        named = read_json(body, settings, tenant)
        return replace(named, payload=idempotency.hash_json(body)) if keyed else named
    raise UnsupportedContentType(
        "send multipart/form-data with `files`, or application/json; "
        f"this is {request.mimetype or 'without a Content-Type'}"
    )
