"""What a client sent to `POST /v1/jobs`, read and checked but not stored yet."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, TypeVar

from flask import Request
from pydantic import Field, ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from api import limits
from api.errors import FieldError, refuse_invalid
from worker.contract import keys
from worker.contract.errors import (
    InputForbidden,
    RequestError,
    UndecodableData,
    UnsupportedContentType,
)
from worker.contract.job import ImageSource, JobRequest, Options, Wire
from worker.contract.objects import split_address
from worker.contract.settings import Settings

M = TypeVar("M", bound=Wire)

MAX_FILENAME_CHARS = 255
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DATA_URL = re.compile(r"data:[\w/+.\-]*;base64,")


@dataclass(frozen=True)
class Incoming:
    """One image at the door: an `s3://` address, or bytes to be opened and stored.

    `open` raises an ImageError if the bytes cannot be had.
    """

    custom_id: str | None
    filename: str | None
    address: str | None = None
    open: Callable[[], IO[bytes]] | None = None


@dataclass(frozen=True)
class Submission:
    """A job as asked for."""

    images: Sequence[Incoming]
    options: Options
    metadata: dict[str, Any]


class Envelope(Wire):
    """A JobRequest whose images are the files beside it: the part `options` of a form."""

    options: Options = Options()
    metadata: dict[str, Any] = Field(default_factory=dict)


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
        return _read_form(request, settings)
    if request.mimetype == "application/json":
        return _read_json(request.get_data(cache=False), settings, tenant)
    raise UnsupportedContentType(
        "send multipart/form-data with `files`, or application/json; "
        f"this is {request.mimetype or 'without a Content-Type'}"
    )


# --- multipart -----------------------------------------------------------------


def _read_form(request: Request, settings: Settings) -> Submission:
    files = request.files.getlist("files")
    _refuse_stray_parts(request)
    limits.check_image_count(len(files), settings)
    if not files:
        raise RequestError("send at least one image in a part named files", field="files")
    envelope = _read_options(_options_parts(request))
    images = [
        Incoming(None, base_name(file.filename), open=partial(_spooled, file)) for file in files
    ]
    return Submission(images, envelope.options, envelope.metadata)


def _refuse_stray_parts(request: Request) -> None:
    if "files" in request.form:
        raise RequestError(
            "a part `files` has no filename, so it is not a file; "
            'with curl write -F "files=@photo.jpg"',
            field="files",
        )
    stray = {*request.form, *request.files} - {"files", "options"}
    if stray:
        name = min(stray)
        raise RequestError(
            f"a form has the parts `files` and `options`, not {name!r}", field=name[:128]
        )


def _options_parts(request: Request) -> list[bytes]:
    as_text = [text.encode() for text in request.form.getlist("options")]
    return as_text + [file.read() for file in request.files.getlist("options")]


def _read_options(parts: Sequence[bytes]) -> Envelope:
    """`{"options": {...}, "metadata": {...}}`, or what stands in its `options` alone."""
    if not parts:
        return Envelope()
    if len(parts) > 1:
        raise RequestError("send the part `options` once", field="options")
    try:
        shape = _Shape.model_validate_json(parts[0])
    except ValidationError as exc:
        refuse_invalid(exc, prefix="options")
    if "images" in shape.model_fields_set:
        raise RequestError(
            "with multipart/form-data the files are the images; leave `images` out",
            field="images",
        )
    if shape.model_fields_set.isdisjoint(Envelope.model_fields):
        return Envelope(options=_validated(Options, parts[0], prefix="options"))
    return _validated(Envelope, parts[0])


class _Shape(Wire, extra="allow"):
    """Tells the whole request object from its options."""

    options: Any = None
    metadata: Any = None


def _spooled(file: FileStorage) -> IO[bytes]:
    return file.stream


# --- JSON ----------------------------------------------------------------------


def _read_json(body: bytes, settings: Settings, tenant: str) -> Submission:
    request = _validated(JobRequest, body)
    limits.check_image_count(len(request.images), settings)
    _refuse_forbidden(request.images, settings, tenant)
    images = [
        Incoming(
            image.custom_id,
            base_name(image.filename or _last_part(image.s3)),
            address=image.s3,
            open=None if image.data is None else partial(decode_data, image.data),
        )
        for image in request.images
    ]
    return Submission(images, request.options, request.metadata)


def _refuse_forbidden(images: Sequence[ImageSource], settings: Settings, tenant: str) -> None:
    forbidden = [
        FieldError(field=f"images.{n}.s3", message=f"{image.s3} may not be read")
        for n, image in enumerate(images)
        if image.s3 is not None and not _may_read(image.s3, settings, tenant)
    ]
    if forbidden:
        raise InputForbidden(
            f"{forbidden[0].message}: its bucket is not one that jobs may name here; "
            "upload the file, or have the operator add the bucket to GUANWU_S3_INPUT_BUCKETS",
            errors=forbidden[:100],
        )


def _may_read(address: str, settings: Settings, tenant: str) -> bool:
    bucket, key = split_address(address)
    if bucket not in settings.input_buckets:
        return False
    own = bucket == settings.s3_bucket
    return not own or (key.startswith(keys.tenant_prefix(tenant)) and ".." not in key)


def decode_data(data: str) -> IO[bytes]:
    """Base64, with or without a `data:` URL's head, line breaks allowed.

    Raises:
        UndecodableData: it is not base64.
    """
    head = _DATA_URL.match(data)
    text = data[head.end() :] if head else data
    try:
        return io.BytesIO(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError) as exc:
        raise UndecodableData(f"`data` is not base64 ({exc}); encode the file's bytes") from exc


def _last_part(address: str | None) -> str | None:
    return None if address is None else address.rpartition("/")[2]


def base_name(filename: str | None) -> str | None:
    """The name without folders and control characters, `MAX_FILENAME_CHARS` at most."""
    if filename is None:
        return None
    name = _UNPRINTABLE.sub("", re.split(r"[/\\]", filename)[-1]).strip()
    stem, dot, suffix = name.rpartition(".")
    if len(name) > MAX_FILENAME_CHARS and dot and len(suffix) < 16:
        name = stem[: MAX_FILENAME_CHARS - len(suffix) - 1] + dot + suffix
    return name[:MAX_FILENAME_CHARS] or None


def _validated(model: type[M], body: bytes, *, prefix: str = "") -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        refuse_invalid(exc, prefix=prefix)
