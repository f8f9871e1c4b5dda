"""The parts of the OpenAPI document that views name, and its texts and examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api import errors

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "Your access token: an API key made by `guanwu admin keys create`, "
        "or one of the operator's settings. `make up` prints one.",
    }
}
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
    429: "As many images as are allowed wait already; nothing was accepted now.",
    503: "Redis or the object store is away; try again after `Retry-After` seconds.",
}
_RETRY_AFTER = {
    "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 1}}
}
POLL = _RETRY_AFTER
ACCEPTED = {
    "Location": {"description": "path of the job", "schema": {"type": "string"}},
    **_RETRY_AFTER,
    "Idempotency-Key-Expires": {
        "description": "with an Idempotency-Key: until when it stands for this job",
        "schema": {"type": "string", "format": "date-time"},
    },
    "Idempotent-Replayed": {
        "description": "`true` if an earlier request with the key has made the job",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {
        "description": "with `Prefer: wait`, if the server waited: `wait=` the seconds granted",
        "schema": {"type": "string"},
    },
}
SUBMIT_HEADERS: list[dict[str, Any]] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "a name of your own for this request, such as a UUID",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "example": "3f1c9a52-6a3e-4a52-9d0c-0f4f1f0b7a11",
    },
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "`wait=N`: rather wait up to N seconds (30 at most) for the results",
        "schema": {"type": "string"},
        "example": "wait=10",
    },
]

INTRODUCTION = """\
Guanwu 观物 answers two questions about every picture: **what is it** (in Chinese) and
**where did the model look**. Submit pictures as a job, watch the job, read its results.

Send your access token with every call: `Authorization: Bearer <token>`.

Errors are `application/problem+json` with a stable `code`; `detail` says what to do, and
`errors` points at fields. One bad picture never fails its neighbours: it becomes a failed
item, with a `code` of its own.

| code | status | meaning |
|---|---|---|
"""

SUBMIT = """\
Send files as `multipart/form-data`, any number of parts `files`, or name images in JSON.
The answer comes as soon as the inputs are stored; watch the job at `Location`.

For jobs of any size name a source in JSON instead of `images`: a `manifest` of JSON Lines
(`{"custom_id": "a-1", "image": {"s3": "s3://..."}}`, or `{"upload": "upl_..."}` as image, or
`{"source-ref": "s3://..."}`), a `prefix` (`s3://bucket/folder/`), or an `archive` (zip, tar).
The answer comes at once; `planning` is true and `total` grows while the source is read.

A file that is empty, too large or no image becomes a failed item of the job.

`webhook` names who is told when this job ends, beside your standing webhooks.

With an `Idempotency-Key`, a request can be sent again after a timeout or a lost connection
and makes no second job: it gets the answer of the first, until `Idempotency-Key-Expires`
(24 hours by default). The same key with another payload is a 422; while the first request
is being answered a second is a 409, to be sent again after `Retry-After`. The payload is
the JSON body byte by byte, or the parts of the form. A request that was refused (4xx)
leaves its key free.

With `Prefer: wait=N` (RFC 7240) a small job, of up to 16 images by default and not from a
source, is answered by 200 with the job and its `results` if it is done within N seconds, 30
at most. Otherwise the answer is 202 as without it. `Preference-Applied` says that the server
waited; it does not when many wait already.
"""

RETRY = """\
For jobs that are done. Items that failed, were cancelled or have expired are queued again,
with the same inputs and options; those that succeeded stay. A retried job does not expire.
"""

UPLOAD = """\
Put the file to `url` with `headers`, then name it in a job as `{"upload": id}`: as an image,
as `manifest` or as `archive`. A manifest's lines may name uploads, too.
"""

METRICS = """\
Images that wait by lane, images done a second, how wrong predicted ends were, and answered
requests by route and status.
"""

GET_JOB = """\
Counts by item state always add up to `total`. `done` is true in every final state; until
then `Retry-After` says when to look again. Known for as long as its files are kept.
"""

EVENTS = """\
`progress` tells of the job as `GET /v1/jobs/{id}` does: at once, and when its counts have
changed, at most every 500 ms. `done` comes last and ends the stream. Each event tells all,
so nothing is missed by who comes again: with `Last-Event-ID`, as an `EventSource` sends it by
itself, the job is told only if it has changed since. A comment every 15 seconds keeps
the connection open; after ten minutes the stream ends and is to be opened again. When as
many streams are open as one process serves, the answer is 503: try again, or poll.
"""

CANCEL = """\
Cooperative: images no worker has begun are cancelled, those under way are finished or
dropped. Results that exist stay.
"""

RESULTS = """\
Items come in index order and without a gap: a page ends before the first item that is not
finished. Go on from `next` until `done` is true; meanwhile the same `after` can bring more.

The results of a job that is done can be filtered by `status`, `label`, `score_below` and
`verdict`, and sorted by `score`, `margin` or `faithfulness`: ascending, so the least certain
first, and items without a value last.

Links to heatmaps work without a token until `expires_at`; ask again for fresh ones.
"""

ARTIFACT = """\
Redirects to `overlay.png`, `map.png` or `figure.png` in storage. An item can have several
maps: by default it is the one that explains its top label, `model` and `method` choose
another.
"""

MODELS = """\
What running workers offer, or offered last. Options of new jobs are checked against it.
Empty until a first worker has started.
"""

REDIRECT = {
    "description": "The file's place in storage.",
    "headers": {
        "Location": {
            "description": "a link that works without a token, for a while",
            "schema": {"type": "string", "format": "uri"},
        }
    },
}

# A single pixel.
_DOT_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGO4o6EBAAMQAS0ujiXaAAAAAElFTkSuQmCC"
)
_OPTIONS = {"top_k": 3, "artifacts": ["labels", "overlay", "figure"]}
_FORM_SCHEMA = {
    "type": "object",
    "required": ["files"],
    "additionalProperties": False,
    "properties": {
        "files": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
        "options": {
            "description": "The request object without `images`, or its `options` alone.",
            "anyOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {"$ref": "#/components/schemas/Options"},
            ],
        },
    },
}
SUBMIT_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _FORM_SCHEMA,
            "encoding": {"options": {"contentType": "application/json"}},
        },
        "application/json": {
            "schema": {"$ref": "#/components/schemas/JobRequest"},
            "examples": {
                "storage": {
                    "summary": "Images in storage",
                    "value": {
                        "images": [{"custom_id": "a-1", "s3": "s3://bucket/pets/1.jpg"}],
                        "options": _OPTIONS,
                        "webhook": {"url": "https://shop.example/hooks"},
                        "metadata": {"batch": "2026-01"},
                    },
                },
                "source": {
                    "summary": "A folder in storage, of any size",
                    "value": {"prefix": "s3://bucket/pets/", "options": _OPTIONS},
                },
                "inline": {
                    "summary": "A small image in the request",
                    "value": {"images": [{"data": _DOT_PNG, "filename": "dot.png"}]},
                },
            },
        },
    },
}


UPLOAD_BODY = {
    "required": False,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/UploadRequest"},
            "examples": {
                "archive": {
                    "summary": "An archive",
                    "value": {"filename": "pets.zip", "bytes": 1048576},
                }
            },
        }
    },
}


def json_response(
    description: str, model: type[BaseModel], *, headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A response whose body is `model`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    answer: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": schema}},
    }
    return answer | ({"headers": headers} if headers else {})


def json_body(
    model: type[BaseModel], *, required: bool = True, example: object = None
) -> dict[str, Any]:
    """A request whose body is `model`."""
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if example is not None:
        content["example"] = example
    return {"required": required, "content": {"application/json": content}}


def events_response(description: str) -> dict[str, Any]:
    """A stream of server-sent events."""
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    return {"description": description, "content": content}


def jsonl_response(description: str) -> dict[str, Any]:
    """A response of one ItemResult a line."""
    return {
        "description": f"{description} Each line is an `ItemResult`, without links.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }


def text_response(description: str) -> dict[str, Any]:
    """A response of plain text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {"description": description, "content": content}


def problems(*statuses: int) -> dict[Any, Any]:
    """Error responses of these statuses."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {errors.MIMETYPE: {"schema": schema}},
    }
    if status in (409, 429, 503):
        answer["headers"] = _RETRY_AFTER
    return answer


def error_table() -> str:
    """All codes as rows of a Markdown table."""
    kinds = {kind.code: kind for kind in errors.subclasses()}
    return "\n".join(
        f"| `{code}` | {errors.status_of(kind)} | {errors.title_of(kind)} |"
        for code, kind in sorted(kinds.items())
    )
