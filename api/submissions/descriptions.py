"""Texts of the endpoints of submissions."""

from __future__ import annotations

from typing import Any

from api.openapi.parameters import IDEMPOTENCY_KEY

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
UPLOAD = """\
Put the file to `url` with `headers`, then name it in a job as `{"upload": id}`: as an image,
as `manifest` or as `archive`. A manifest's lines may name uploads, too. The link is signed
for `bytes` and `content_type`: storage refuses a file of another size or type with 403.
"""
USAGE = """\
Images are counted when their job is accepted; those of a manifest, folder or archive when it is
read. Those that come again with the same Idempotency-Key, or are retried, are not counted again. An
account is a tenant's, or that of an API key that has a quota of its own. Over the quota,
`POST /v1/jobs` is a 429, `quota_exceeded`, to be sent again after `Retry-After`; reading a source
ends there, with the same code as the job's `error`.
"""
EXPLAIN = """\
The body is `options`, as of a new job; nothing is taken over from the old one, so name its
`models`, `label_set` or `words` where they matter. For example, why this label and not that one.
The picture is read from where the old job found it, and counts against quotas like any other.
"""
EXPLAIN_OPTIONS = {"explain": [{"target": {"label": "埃及猫", "against": "虎斑猫"}}]}
