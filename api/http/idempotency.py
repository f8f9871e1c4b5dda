"""`Idempotency-Key`: the same request, sent again, makes no second job or feedback.

After draft-ietf-httpapi-idempotency-key-header: a replay gets the stored answer, another
payload under the key is refused, and so is the same while the first is in flight.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Generic, TypeVar

from flask import Request, Response
from pydantic import BaseModel

from api.services.idempotency_store import IdempotencyMarks, Mark
from worker.contract.errors import GuanwuError, RequestError, ServiceUnavailable

M = TypeVar("M", bound=BaseModel)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
EXPIRES = "Idempotency-Key-Expires"
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


@dataclass(frozen=True)
class Once(Generic[M]):
    """What was made, now or by an earlier request with the same key."""

    made: M
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
    return body_payload("json", body)


def body_payload(kind: str, body: bytes) -> str:
    """Hash of a JSON body that asks for something of that kind."""
    return _digest(kind, [(hashlib.sha256(body).hexdigest(),)])


def item_payload(kind: str, job: str, index: int, body: bytes) -> str:
    """Hash of a JSON body that is about an item."""
    return _digest(kind, [(job, str(index), hashlib.sha256(body).hexdigest())])


def _digest(kind: str, parts: Iterable[tuple[str, ...]]) -> str:
    # As JSON, so that no two lists of parts read the same when joined.
    return hashlib.sha256(json.dumps([kind, *parts]).encode()).hexdigest()


def once(
    marks: IdempotencyMarks,
    mark: Mark,
    model: type[M],
    *,
    find: Callable[[str], M | None],
    make: Callable[[Mark], M],
) -> Once[M]:
    """What stands behind a mark that was begun: its answer, or what `find` gives by its id
    where an earlier request came so far, or what `make` makes under that id.

    Raises:
        Whatever `make` raises; then the request can be sent again.
    """
    if mark.answer is not None:
        earlier = model.model_validate_json(mark.answer, extra="ignore")
        return Once(earlier, mark.expires_at, replayed=True)
    try:
        found = find(mark.made) if mark.taken_over else None
        made = found or make(mark)
    except Exception as exc:
        marks.give_up(mark, forget=_made_nothing(mark, exc))
        raise
    marks.answer(mark, made.model_dump_json())
    return Once(made, mark.expires_at, replayed=found is not None)


def _made_nothing(mark: Mark, error: Exception) -> bool:
    """True if surely nothing was made: it was refused. A service that did not answer may
    have done as it was told."""
    refused = isinstance(error, GuanwuError) and not isinstance(error, ServiceUnavailable)
    return refused and not mark.taken_over


PIECE_BYTES = 1 << 20


def sha256_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
