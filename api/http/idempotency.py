"""`Idempotency-Key`: a request that is sent again makes no second job or feedback.

After draft-ietf-httpapi-idempotency-key-header: a replay gets the stored answer, another
payload under the key is refused, and so is the same while the first is in flight.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import IO, TypeVar

from flask import Request, Response
from pydantic import BaseModel

from api.http import auth
from api.services.container import services
from api.services.idempotency_store import IdempotencyClaim
from worker.contract.errors import GuanwuError, RequestError, ServiceUnavailable

M = TypeVar("M", bound=BaseModel)
Renew = Callable[[], None]

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
EXPIRES = "Idempotency-Key-Expires"
PIECE_BYTES = 1 << 20
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


def read_key(request: Request) -> str | None:
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


def hash_form(request: Request) -> str:
    """Hash of a form's parts. Not of its body: each try has another boundary."""
    fields = [("field", *pair) for pair in request.form.items(multi=True)]
    files = []
    for name, file in request.files.items(multi=True):
        files.append(("file", name, file.filename or "", sha256_of(file.stream)))
        file.stream.seek(0)
    return _digest("form", [*fields, *files])


def hash_json(body: bytes) -> str:
    """Hash of a JSON body as it came."""
    return hash_body("json", body)


def hash_body(kind: str, body: bytes) -> str:
    """Hash of a JSON body that asks for something of that kind."""
    return _digest(kind, [(hashlib.sha256(body).hexdigest(),)])


def hash_item_body(kind: str, job: str, index: int, body: bytes) -> str:
    """Hash of a JSON body that is about an item."""
    return _digest(kind, [(job, str(index), hashlib.sha256(body).hexdigest())])


def _digest(kind: str, parts: Iterable[tuple[str, ...]]) -> str:
    # As JSON, so that no two lists of parts read the same when joined.
    return hashlib.sha256(json.dumps([kind, *parts]).encode()).hexdigest()


def respond_once(
    model: type[M],
    *,
    key: str | None,
    payload: str | None,
    new_id: str,
    find: Callable[[str], M | None],
    make: Callable[[str, Renew | None], M],
    render: Callable[[M], Response],
) -> Response:
    """Make what a request asks for once under its key, and answer with it.

    Args:
        key: of the request, by `read_key`; None: `make` runs each time.
        payload: hash of what the request asks for; needed with a key.
        new_id: id of what is to be made, if no earlier request has begun it under another.
        find: reads what was made under an id; None if the earlier request did not come so far.
        make: makes it under an id. Its second argument renews the claim to the key, and raises
            IdempotencyInFlight if another request has taken it over.

    Raises:
        IdempotencyKeyReused, IdempotencyInFlight
        Whatever `make` raises; then the request can be sent again.
    """
    if key is None:
        return render(make(new_id, None))
    assert payload is not None
    store = services().idempotency
    claim = store.begin(auth.tenant(), key, payload=payload, new_id=new_id)
    if claim.answer is not None:
        earlier = model.model_validate_json(claim.answer, extra="ignore")
        return _with_expiry(render(earlier), claim, replayed=True)
    try:
        earlier_made = find(claim.resource_id) if claim.taken_over else None
        resource = earlier_made or make(claim.resource_id, partial(store.renew, claim))
    except Exception as exc:
        store.give_up(claim, forget=_made_nothing(claim, exc))
        raise
    store.answer(claim, resource.model_dump_json())
    return _with_expiry(render(resource), claim, replayed=earlier_made is not None)


def _with_expiry(response: Response, claim: IdempotencyClaim, *, replayed: bool) -> Response:
    """Say in headers until when the key holds, and whether this is a replay."""
    response.headers[EXPIRES] = f"{claim.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    if replayed:
        response.headers[REPLAYED] = "true"
    return response


def _made_nothing(claim: IdempotencyClaim, error: Exception) -> bool:
    """True if surely nothing was made: the request was refused. A service that did not answer
    may have done its work all the same."""
    refused = isinstance(error, GuanwuError) and not isinstance(error, ServiceUnavailable)
    return refused and not claim.taken_over


def sha256_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
