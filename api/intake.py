"""What a client sent to `POST /v1/jobs`, read and checked but not stored yet."""

from __future__ import annotations

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api import limits
from api.form_body import read_form
from api.incoming import Submission
from api.json_body import read_json
from worker.contract.errors import UnsupportedContentType
from worker.contract.settings import Settings


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
        raise limits.too_large(settings) from exc
    limits.check_metadata(submission.metadata)
    return submission


def _read(request: Request, settings: Settings, tenant: str) -> Submission:
    if request.mimetype == limits.MULTIPART:
        return read_form(request, settings)
    if request.mimetype == "application/json":
        return read_json(request.get_data(cache=False), settings, tenant)
    raise UnsupportedContentType(
        "send multipart/form-data with `files`, or application/json; "
        f"this is {request.mimetype or 'without a Content-Type'}"
    )
