"""`Idempotency-Key`: the same request, sent again, makes no second job.

After draft-ietf-httpapi-idempotency-key-header: a replay gets the stored answer, another
payload under the key is refused, and so is the same while the first is in flight.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from flask import Request, Response

from api import submission
from api.incoming import Submission
from api.inputs import sha256_of
from api.marks import Mark
from api.services import Services
from worker.contract.errors import GuanwuError, RequestError, ServiceUnavailable
from worker.contract.job import Job, new_id
from worker.contract.quota import Allowance
from worker.contract.rebuild import stored_job

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
EXPIRES = "Idempotency-Key-Expires"
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


@dataclass(frozen=True)
class Accepted:
    """A job that was accepted, now or by an earlier request with the same key."""

    job: Job
    expires_at: dt.datetime
    replayed: bool

    def show(self, response: Response) -> None:
        """Say in headers how long the key stands, and whether this is a replay."""
        response.headers[EXPIRES] = f"{self.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        if self.replayed:
            response.headers[REPLAYED] = "true"


def key_of(request: Request) -> str | None:
    """The request's key; None without one.

    Raises:
        RequestError: it is empty, longer than 255 characters, or not of ASCII ones.
    """
    key = request.headers.get(HEADER)
    if key is None or _KEY.fullmatch(key):
        return key
    raise RequestError(
        f"{HEADER} must be 1 to 255 printable ASCII characters without spaces; a UUID is good",
        field=HEADER,
    )


def form_payload(request: Request) -> str:
    """Hash of a form's parts. Not of its body: each try has another boundary."""
    fields = [("field", *pair) for pair in request.form.items(multi=True)]
    files = []
    for name, file in request.files.items(multi=True):
        files.append(("file", name, file.filename or "", sha256_of(file.stream)))
        file.stream.seek(0)
    return _digest("form", [*fields, *files])


def json_payload(body: bytes) -> str:
    """Hash of a JSON body as it came."""
    return _digest("json", [(hashlib.sha256(body).hexdigest(),)])


def _digest(kind: str, parts: Iterable[tuple[str, ...]]) -> str:
    # As JSON, so that no two lists of parts read the same when joined.
    return hashlib.sha256(json.dumps([kind, *parts]).encode()).hexdigest()


def accept_once(
    services: Services,
    asked: Submission,
    *,
    tenant: str,
    allowances: Sequence[Allowance],
    key: str,
) -> Accepted:
    """Accept a submission, or find what an earlier request with its key has made.

    Raises:
        IdempotencyKeyReused, IdempotencyInFlight
        Whatever `submission.accept` raises; then the request can be sent again.
    """
    assert asked.payload is not None
    mark = services.marks.begin(tenant, key, payload=asked.payload, job=new_id("job"))
    if mark.answer is not None:
        return Accepted(Job.model_validate_json(mark.answer), mark.expires_at, replayed=True)
    try:
        made = _made(services, tenant, mark.job) if mark.taken_over else None
        hold = partial(services.marks.renew, mark)
        job = made or submission.accept(
            services, asked, tenant=tenant, allowances=allowances, job=mark.job, hold=hold
        )
    except Exception as exc:
        services.marks.give_up(mark, forget=_made_nothing(mark, exc))
        raise
    services.marks.answer(mark, job.model_dump_json())
    return Accepted(job, mark.expires_at, replayed=made is not None)


def _made(services: Services, tenant: str, job: str) -> Job | None:
    """The job, if the request that went before came so far as to record it.

    A job.json alone proves nothing while it says queued: it is written before the record.
    """
    record = services.records.read(tenant, job)
    if record is not None:
        return submission.view_of(record)
    stored = stored_job(services.store, tenant, job)
    return stored if stored is not None and stored.done else None


def _made_nothing(mark: Mark, error: Exception) -> bool:
    """True if surely no job was made: it was refused. A service that did not answer may
    have done as it was told."""
    refused = isinstance(error, GuanwuError) and not isinstance(error, ServiceUnavailable)
    return refused and not mark.taken_over
