"""The parts of the OpenAPI document that views name, and its texts and examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.http import problems as errors
from worker.contract import errors as family
from worker.contract.errors import GuanwuError

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
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "a name of your own for this request, such as a UUID",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "3f1c9a52-6a3e-4a52-9d0c-0f4f1f0b7a11",
}
SUBMIT_HEADERS: list[dict[str, Any]] = [
    IDEMPOTENCY_KEY,
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "`wait=N`: rather wait up to N seconds (30 at most) for the results",
        "schema": {"type": "string"},
        "example": "wait=10",
    },
]

# Documented, not checked: an id of another form names no job, which is a 404 like any other.
JOB_ID: dict[str, Any] = {"pattern": "^job_[0-9A-HJKMNP-TV-Z]{26}$"}
WEBHOOK_ID: dict[str, Any] = {"pattern": "^whk_[0-9A-HJKMNP-TV-Z]{26}$"}

FEEDBACK_ID: dict[str, Any] = {"pattern": "^fbk_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}

LABEL_SET_ID: dict[str, Any] = {"pattern": "^lbs_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
PROPOSAL_ID: dict[str, Any] = {"pattern": "^lsp_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}

INTRODUCTION = """\
Guanwu 观物 answers two questions about every picture: **what is it** (in Chinese) and
**where did the model look**. Submit pictures as a job, watch the job, read its results.

Send your access token with every call: `Authorization: Bearer <token>`.

Each access token may make so many calls a minute, counted apart for calls that read, that
submit or change something, and that ask for an upload link. Answers say where you are in
`RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds until more are allowed);
one call too many is a 429, `rate_limited`, to be sent again after `Retry-After`.

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
(`{"custom_id": "a-1", "image": {"s3": "s3://..."}}`, or `{"upload": "upl_..."}` or
`{"url": "https://..."}` as image, or `{"source-ref": "s3://..."}`), a `prefix`
(`s3://bucket/folder/`), or an `archive` (zip, tar).
The answer comes at once; `planning` is true and `total` grows while the source is read.

A file that is empty, too large or no image becomes a failed item of the job.

Where the operator allows hosts, images and manifest lines may be a `url`; workers fetch it
within limits of size and time, and follow redirects between allowed hosts. It has to be
`https://` on a public address, without user or password. A URL that is refused by how it is
written is a 422 here, or its manifest line a failed item; one that leads to an inner address
or fails is a failed item: `url_not_allowed`, `url_refused`, or `url_unreachable`, of which a
retry may help the last. A retry fetches again.

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
as `manifest` or as `archive`. A manifest's lines may name uploads, too. The link is signed
for `bytes` and `content_type`: storage refuses a file of another size or type with 403.
"""

WORKERS = """\
What each process of each worker did in the last ten seconds: images a second, time by stage, the
stage that holds images up, its device, and its latest errors by code. Processes that were silent
for 15 seconds are left out. Takes the scope `admin`: these are numbers of all tenants together.
"""

METRICS = """\
Images that wait by lane, chunks by state, images done a second, how wrong predicted ends were, and
answered requests by route and status, with the time they took. Workers serve their own numbers.
"""

GET_JOB = """\
Counts by item state always add up to `total`. `done` is true in every final state; until
then `Retry-After` says when to look again: the later, the longer the job will take. Known for
as long as its files are kept.

With `?wait=N` the answer comes once the job's `status` has changed, or after N seconds. When
as many wait as one process serves it comes at once, so keep to `Retry-After` all the same.

`ETag` changes with status and counts; `position`, `eta_s` and `images_per_s` may change under
it. With `If-None-Match` a job that is still in that state is a 304 without a body, and
`?wait=N` waits for any other state: for progress, too.
"""

EVENTS = """\
`progress` tells of the job as `GET /v1/jobs/{id}` does: at once, and when its counts have
changed, at most every 500 ms. `done` comes last and ends the stream. An event's `id` is what
stands between the quotes of the job's `ETag`. Each event tells all,
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

The results of a job that is done can be filtered by `status`, `label`, `score_from`,
`score_below` and `verdict`, and sorted by `score`, `margin` or `faithfulness`: ascending, so the
least certain first, and items without a value last. `offset` reads any page at once, instead of
`after`; `matched` counts the items of all pages.

Links to heatmaps work without a token until `expires_at`; ask again for fresh ones.
"""

REPORT = """\
Counts, label and score distributions, verdicts on heatmaps, the least certain pictures with small
pictures of them, timings, and where it all comes from. The file asks nothing of anywhere and
runs no script; a browser's print makes a PDF of it. Pictures are those that the store has and that
are small: thumbnails (`"artifacts": ["thumbnail"]`), small overlays, small inputs.
"""

ARTIFACT = """\
Redirects to `overlay.png`, `map.png` or `figure.png` in storage; overlays of jobs with another
`overlay_format` are `overlay.jpg` or `overlay.webp`. An item can have several
maps: by default it is the one that explains its top label, `model` and `method` choose
another. A download is named after picture, label, method and kind:
`1_虎斑猫_cam_overlay.png`.
"""

USAGE = """\
Images are counted when their job is accepted; those of a manifest, folder or archive when it is
read. Those that come again with the same Idempotency-Key, or are retried, are not counted again. An
account is a tenant's, or that of an API key that has a quota of its own. Over the quota,
`POST /v1/jobs` is a 429, `quota_exceeded`, to be sent again after `Retry-After`; reading a source
ends there, with the same code as the job's `error`.
"""

MODELS = """\
What running workers offer, or offered last. Options of new jobs are checked against it, and
labels they name against those of the label sets.
Empty until a first worker has started.
"""

EXPLAIN = """\
The body is `options`, as of a new job; nothing is taken over from the old one, so name its
`models`, `label_set` or `words` where they matter. For example, why this label and not that one.
The picture is read from where the old job found it, and counts against quotas like any other.
"""
EXPLAIN_OPTIONS = {"explain": [{"target": {"label": "埃及猫", "against": "虎斑猫"}}]}

LABELS = """\
For type-ahead. `q` is part of a Chinese name, the beginning of an English word, or pinyin
without tones, in full (`xiongmao`) or its initials (`xm`). Labels that are called so come first,
then those that begin so, then those that have it inside; shorter names before longer ones.
"""

LABEL_SET = """\
Labels that are words, `zh` and `en`, for models with an open vocabulary, are ready at once. With
`examples` of every label, and the `model` that is to look at them, a job looks at the pictures and
its end makes the set: `status` is `building`, then `ready`, or `failed` with an `error`. Pictures
that cannot be used are counted in `failed_examples`; a label none is left of fails the version.
Jobs name the set in `options.label_set`: `lbs_...`, or one version of it, `lbs_...@1`.
An `Idempotency-Key` does here what it does for jobs.
"""
LABEL_SET_EXAMPLE = {
    "name": "茶叶",
    "model": "dinov2-small",
    "labels": [
        {"zh": "龙井", "en": "longjing", "examples": [{"s3": "s3://bucket/tea/1.jpg"}]},
        {"zh": "铁观音", "en": "tieguanyin", "examples": [{"s3": "s3://bucket/tea/2.jpg"}]},
    ],
}

ABSORB = """\
For sets made of examples. Judgements that are not taken back become examples: a picture of
`wrong_label` of the label it was corrected to; one of `wrong_region` of its label, of which what
lies in the box counts. `added` counts them by label, `skipped` those left out by the reason; of
several on one picture the newest counts, with the box or the corrected label of the others where it
has none. Nothing changes until the proposal is accepted; then a
new version has the examples of the one before, and these. A proposal is kept for a while, 30 days
where the operator has set nothing else.
"""

FEEDBACK = """\
`kind` is `right`; `wrong_label`, with `correct`: the label that is right, and with `box_px` if
you like; or `wrong_region`, with `box_px`: where it is. It outlives its job, and keeps the
picture that it names until it is taken back. An `Idempotency-Key` does here what it does for
jobs: sent again, it is kept once.
"""

FEEDBACK_EXPORT = """\
`format=jsonl` answers all as JSON Lines, `format=label-studio` as an array of tasks for Label
Studio, with links to the pictures that work without a token for a while. A picture that could not
be kept, such as one on the web, is named by its `address`, or by null. `format=coco` answers the
boxes as a COCO file of objects; pictures without a box are not in it. See docs/feedback.md.
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
                "url": {
                    "summary": "Images on the web, from hosts that the operator allows",
                    "value": {"images": [{"url": "https://img.example.com/pets/1.jpg"}]},
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
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/UploadRequest"},
            "examples": {
                "archive": {
                    "summary": "An archive",
                    "value": {
                        "filename": "pets.zip",
                        "bytes": 1048576,
                        "content_type": "application/zip",
                    },
                }
            },
        }
    },
}
BODIES: dict[str, dict[str, Any]] = {"submit_job": SUBMIT_BODY, "create_upload": UPLOAD_BODY}

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
    """A stream of server-sent events; the schema is that of each."""
    schema = {"$ref": "#/components/schemas/JobEvent"}
    content = {"text/event-stream": {"schema": schema}}
    return {"description": description, "content": content}


def jsonl_response(description: str) -> dict[str, Any]:
    """A response of one ItemResult a line."""
    return {
        "description": f"{description} Each line is an `ItemResult`, without links.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }


def html_response(description: str) -> dict[str, Any]:
    """A response that is a page."""
    return {"description": description, "content": {"text/html": {"schema": {"type": "string"}}}}


def feedback_response() -> dict[str, Any]:
    """A page, or an export."""
    page = {"$ref": "#/components/schemas/FeedbackPage"}
    tasks = {"type": "array", "items": {"type": "object"}}
    coco = {
        "type": "object",
        "required": ["images", "annotations", "categories"],
        "properties": dict.fromkeys(("images", "annotations", "categories"), tasks),
    }
    return {
        "description": "A page; or all, as lines, as tasks or as a COCO file.",
        "content": {
            "application/json": {
                "schema": {"anyOf": [page, tasks, coco]},
                "example": {"items": [], "next": None},
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }


def text_response(description: str) -> dict[str, Any]:
    """A response of plain text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {"description": description, "content": content}


def problems(*statuses: int) -> dict[Any, Any]:
    """Error responses of these statuses."""
    return {status: problem(status) for status in statuses}


def guarded(*statuses: int) -> dict[Any, Any]:
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


def error_table() -> str:
    """All codes as rows of a Markdown table."""
    kinds = {kind.code: kind for kind in errors.subclasses()}
    return "\n".join(
        f"| `{code}` | {errors.status_of(kind)} | {errors.title_of(kind)} |"
        for code, kind in sorted(kinds.items())
    )
