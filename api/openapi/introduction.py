"""Introduction, error table and security schemes of the document."""

from __future__ import annotations

from typing import Any

from api.http import problems as errors

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "Your access token: an API key made by `guanwu admin keys create`, "
        "or one of the operator's settings. `make up` prints one.",
    }
}
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


def error_table() -> str:
    """All codes as rows of a Markdown table."""
    kinds = {kind.code: kind for kind in errors.subclasses()}
    return "\n".join(
        f"| `{code}` | {errors.status_of(kind)} | {errors.title_of(kind)} |"
        for code, kind in sorted(kinds.items())
    )
