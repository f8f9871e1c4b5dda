"""Responses, headers and bodies of operations, as views describe them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.http import problems as errors
from worker.contract import errors as family
from worker.contract.errors import GuanwuError

BEARER: list[dict[str, list[Any]]] = [{"bearer": []}]

_PROBLEMS = {
    400: "The body cannot be read.",
    401: "No access token, or one that is not known.",
    403: "The access token lacks the scope: `submit` to change things, `read` to read.",
    404: "There is no such thing under your access token.",
    409: "The job is not in a state that allows it; `code` says why.",
    413: "The body is too large.",
    415: "The body has a content type the call does not take.",
    422: "The request does not fit; `errors` says where.",
    429: "Too much for now; `code` says of what. Nothing was accepted or changed.",
    500: "The server is not set up rightly, or has a bug.",
    503: "Redis or the object store is away; try again after `Retry-After` seconds.",
}
# Of each status, one code with what it may say.
_SAMPLES: dict[int, tuple[type[GuanwuError], str]] = {
    400: (family.MalformedRequest, "the body is not JSON: EOF while parsing a value"),
    401: (family.Unauthorized, "send your access token in the header `Authorization: Bearer ...`"),
    403: (family.Forbidden, "this access token has the scopes read, the call needs submit"),
    404: (family.JobNotFound, "there is no such job under your access token; check the job's id"),
    409: (family.JobUnfinished, "only a job that is done can be retried; wait for it"),
    413: (family.RequestTooLarge, "a JSON body may have 75,497,472 bytes at most"),
    415: (family.UnsupportedContentType, "send multipart/form-data with `files`, or JSON"),
    422: (family.RequestError, "limit: Input should be less than or equal to 100"),
    429: (family.QueueFull, "your queue holds up to 2,000,000 images; wait until some are done"),
    500: (GuanwuError, "the server is not set up rightly or has a bug; its log says more"),
    503: (family.RedisUnavailable, "Redis does not answer; try again soon"),
}
_CHALLENGE = {
    "WWW-Authenticate": {
        "description": "what is wrong with the token (RFC 6750)",
        "schema": {"type": "string"},
    }
}
_RETRY_AFTER = {
    "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 1}}
}
_RATE = {
    "RateLimit-Limit": {
        "description": "calls of this kind that may be made in a minute",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit-Remaining": {
        "description": "of these, how many are left now",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Reset": {
        "description": "seconds until more are allowed",
        "schema": {"type": "integer", "minimum": 0},
    },
}
POLL = _RETRY_AFTER
STATE = {
    "ETag": {
        "description": "names the job's status and counts; weak",
        "schema": {"type": "string", "pattern": '^W/"[0-9a-f]{16}"$'},
    },
    **_RETRY_AFTER,
}
IDEMPOTENT = {
    "Idempotency-Key-Expires": {
        "description": "with an Idempotency-Key: until when it stands for this answer",
        "schema": {"type": "string", "format": "date-time"},
    },
    "Idempotent-Replayed": {
        "description": "`true` if an earlier request with the key has made this",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
ACCEPTED = {
    "Location": {"description": "path of the job", "schema": {"type": "string"}},
    **_RETRY_AFTER,
    **IDEMPOTENT,
    "Preference-Applied": {
        "description": "with `Prefer: wait`, if the server waited: `wait=` the seconds granted",
        "schema": {"type": "string"},
    },
}
CREATED = {"Location": {"description": "its path", "schema": {"type": "string"}}}


JOB_EVENT: dict[str, Any] = {
    "title": "JobEvent",
    "description": "One event of the stream; `data` is the job as JSON.",
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "description": "names the job's state, for Last-Event-ID"},
        "event": {"type": "string", "enum": ["progress", "done"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Job"},
        },
        "retry": {"type": "integer", "description": "ms to wait before the stream is reopened"},
    },
}


def describe_json(
    description: str, model: type[BaseModel], *, headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A response whose body is `model`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    answer: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": schema}},
    }
    return answer | ({"headers": headers} if headers else {})


def describe_body(
    model: type[BaseModel], *, required: bool = True, example: object = None
) -> dict[str, Any]:
    """A request whose body is `model`."""
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if example is not None:
        content["example"] = example
    return {"required": required, "content": {"application/json": content}}


def describe_events(description: str, *, example: dict[str, Any]) -> dict[str, Any]:
    """A stream of server-sent events; the schema is that of each."""
    schema = {"$ref": "#/components/schemas/JobEvent"}
    content = {"text/event-stream": {"schema": schema, "example": example}}
    return {"description": description, "content": content}


def describe_jsonl(description: str) -> dict[str, Any]:
    """A response of one ItemResult a line."""
    return {
        "description": f"{description} Each line is an `ItemResult`, without links.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }


def describe_html(description: str) -> dict[str, Any]:
    """A response that is a page."""
    return {"description": description, "content": {"text/html": {"schema": {"type": "string"}}}}


def describe_text(description: str) -> dict[str, Any]:
    """A response of plain text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {"description": description, "content": content}


def problems(*statuses: int) -> dict[Any, Any]:
    """Error responses of these statuses."""
    return {status: problem(status) for status in statuses}


def guard_problems(*statuses: int) -> dict[Any, Any]:
    """The error responses of calls behind `auth.require_tenant`: its own, and these."""
    return problems(401, 403, 429, 503, *statuses)


def problem(status: int) -> dict[str, Any]:
    """The error response of a status."""
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {errors.MIMETYPE: {"schema": schema, "example": _sample(status)}},
    }
    if status in (409, 429, 503):
        answer["headers"] = {**_RETRY_AFTER, **_RATE} if status == 429 else _RETRY_AFTER
    if status in (401, 403):
        answer["headers"] = _CHALLENGE
    return answer


def _sample(status: int) -> dict[str, Any]:
    kind, detail = _SAMPLES[status]
    field, _, message = detail.partition(": ") if status == 422 else ("", "", "")
    return {
        "type": f"/errors/{kind.code}",
        "title": errors.title_of(kind),
        "status": status,
        "code": kind.code,
        "detail": detail,
        "instance": "/v1/jobs",
        "errors": [{"field": field, "message": message}] if field else [],
        "limits": {},
        "request_id": "01K0ZJ7B4X9C2V5N8M1L3K6J0H",
    }
