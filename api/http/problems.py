"""Error responses: `application/problem+json` (RFC 9457) with stable codes.

The only place that knows HTTP statuses of Guanwu's errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g, request
from pydantic import Field, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from api.http.validation import FieldError, refuse_invalid
from guanwu.wire.base import Wire
from worker.contract import errors as family
from worker.contract.errors import GuanwuError

log = structlog.get_logger(__name__)

MIMETYPE = "application/problem+json"
RETRY_AFTER_S = 2

STATUS: dict[type[GuanwuError], int] = {
    GuanwuError: 500,
    family.RequestError: 422,
    family.InvalidOptions: 422,
    family.UnknownModel: 422,
    family.UnknownLabelSet: 422,
    family.LabelSetUnfit: 422,
    family.TooFewExamples: 422,
    family.TooManyImages: 422,
    family.RequestTooLarge: 413,
    family.MalformedRequest: 400,
    family.UnsupportedContentType: 415,
    family.Unauthorized: 401,
    family.Forbidden: 403,
    family.NotFound: 404,
    family.JobNotFound: 404,
    family.KeyNotFound: 404,
    family.WebhookNotFound: 404,
    family.FeedbackNotFound: 404,
    family.LabelSetNotFound: 404,
    family.ProposalNotFound: 404,
    family.ProposalOutdated: 409,
    family.NothingToAbsorb: 409,
    family.LabelSetBuilding: 409,
    family.LabelSetFailed: 409,
    family.ItemNotSucceeded: 409,
    family.TooManyWebhooks: 422,
    family.ItemNotFound: 404,
    family.ArtifactNotFound: 404,
    family.IdempotencyKeyReused: 422,
    family.IdempotencyInFlight: 409,
    family.JobUnfinished: 409,
    family.NothingToRetry: 409,
    family.QueueFull: 429,
    family.RateLimited: 429,
    family.QuotaExceeded: 429,
    family.ImageError: 422,
    family.EmptyImage: 422,
    family.UndecodableData: 422,
    family.BadManifestLine: 422,
    family.UnsupportedImage: 422,
    family.CorruptImage: 422,
    family.ImageTooLarge: 413,
    family.InputMissing: 422,
    family.InputForbidden: 422,
    family.UrlNotAllowed: 422,
    family.UrlRefused: 422,
    family.UrlUnreachable: 503,
    family.AttemptsExhausted: 500,
    family.Cancelled: 409,
    family.Expired: 409,
    family.PoisonImage: 500,
    family.SourceInvalid: 422,
    family.ModelError: 500,
    family.ModelUnavailable: 503,
    family.CheckpointInvalid: 500,
    family.LabelSetOutdated: 409,
    family.ExplanationUnavailable: 422,
    family.OutOfMemory: 500,
    family.AddressForbidden: 422,
    family.OutboundFailed: 503,
    family.OutboundTooLarge: 422,
    family.DeviceBroken: 503,
    family.FontMissing: 500,
    family.ServiceUnavailable: 503,
    family.StreamsFull: 503,
    family.ReportsFull: 503,
    family.RedisUnavailable: 503,
    family.StoreUnavailable: 503,
    family.StoreDenied: 500,
    family.ObjectNotFound: 404,
    family.LeaseLost: 409,
    family.SettingsInvalid: 500,
    family.RedisUnfit: 500,
}

# Errors of HTTP itself that are not in the family.
_HTTP_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_content_type",
    500: "internal_error",
}


class Problem(Wire):
    """What every error answer looks like; `code` is stable, `detail` names the remedy."""

    type: str = Field(description="`/errors/{code}`")
    title: str
    status: int
    code: str
    detail: str
    instance: str = Field(description="the path that was asked for")
    errors: list[FieldError] = Field(default_factory=list)
    limits: dict[str, int] = Field(
        default_factory=dict, description="the limits that were exceeded, by name"
    )
    request_id: str | None = Field(None, description="name it when you report a problem")


def register(app: Flask) -> None:
    """Make every error of `app` a problem document."""
    app.register_error_handler(GuanwuError, _respond)
    app.register_error_handler(HTTPException, _respond_http)
    app.register_error_handler(Exception, _respond_bug)


def subclasses(of: type[GuanwuError] = GuanwuError) -> Iterator[type[GuanwuError]]:
    """The whole family, the root first."""
    yield of
    for child in of.__subclasses__():
        yield from subclasses(child)


def title_of(error: type[GuanwuError]) -> str:
    """The first sentence of the class's docstring."""
    return (error.__doc__ or "").strip().splitlines()[0].rstrip(".")


def status_of(kind: type[GuanwuError]) -> int:
    """The kind's own status, or that of its nearest ancestor."""
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)


def respond_invalid(invalid: ValidationError) -> Response:
    """The answer to a path or query that does not fit its model."""
    try:
        refuse_invalid(invalid)
    except GuanwuError as error:
        return _respond(error)


def _respond(error: GuanwuError) -> Response:
    status = status_of(type(error))
    if status >= 500:
        log.warning("request failed", code=error.code, error=error.message, exc_info=status == 500)
    response = _problem_response(
        status,
        code=error.code,
        title=title_of(type(error)),
        detail=_public_detail(error, status),
        errors=_errors_of(error),
        limits=error.data.get("limits", {}),
    )
    if status == 503 or error.retryable:
        response.headers["Retry-After"] = str(error.data.get("retry_after_s", RETRY_AFTER_S))
    if status in (401, 403):
        response.headers["WWW-Authenticate"] = error.data.get("challenge", "Bearer")
    return response


def _public_detail(error: GuanwuError, status: int) -> str:
    if status == 500:
        return "the server is not set up rightly or has a bug; its log says more"
    return error.message


def _errors_of(error: GuanwuError) -> Iterable[FieldError]:
    if "errors" in error.data:
        errors: list[FieldError] = error.data["errors"]
        return errors
    if "field" in error.data:
        return [FieldError(field=error.data["field"], message=error.message)]
    return []


def _respond_http(error: HTTPException) -> Response:
    if error.code is None or error.code < 400 or error.response is not None:
        return error.get_response()  # type: ignore[return-value]  # redirects, abort(response)
    if isinstance(error, RequestEntityTooLarge):
        return _respond(family.RequestTooLarge("the body is larger than the server takes"))
    response = _problem_response(
        error.code,
        code=_HTTP_CODES.get(error.code, f"http_{error.code}"),
        title=HTTPStatus(error.code).phrase,
        detail=error.description or HTTPStatus(error.code).description,
    )
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _respond_bug(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return _problem_response(
        500,
        code=GuanwuError.code,
        title="Internal error",
        detail="this is a bug or a fault of the server; its log says more under the request id",
    )


def _problem_response(
    status: int,
    *,
    code: str,
    title: str,
    detail: str,
    errors: Iterable[FieldError] = (),
    limits: dict[str, Any] | None = None,
) -> Response:
    problem = Problem(
        type=f"/errors/{code}",
        title=title,
        status=status,
        code=code,
        detail=detail,
        instance=request.path,
        errors=list(errors),
        limits=limits or {},
        request_id=g.get("request_id"),
    )
    return Response(problem.model_dump_json(), status=status, mimetype=MIMETYPE)
