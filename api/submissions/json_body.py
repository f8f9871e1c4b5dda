"""Parse `application/json`: images as base64, or by their address in storage or on the web."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence
from functools import partial
from typing import IO, Literal

from api.http import body_limits
from api.http.validation import MAX_FIELD_ERRORS, FieldError, parse_body
from api.submissions.submission import Submission, SubmittedImage, base_name
from guanwu.wire.requests import ImageSource, JobRequest, Source
from worker.contract.errors import InputForbidden, UndecodableData, UrlNotAllowed
from worker.contract.inputs import urls
from worker.contract.inputs.s3 import may_read
from worker.contract.objects import keys
from worker.contract.settings.model import Settings

_DATA_URL = re.compile(r"data:[\w/+.\-]*;base64,")


def read_json(body: bytes, settings: Settings, tenant: str) -> Submission:
    request = parse_body(JobRequest, body)
    if request.images is None:
        source = _source(request, settings, tenant)
        return Submission((), request.options, request.metadata, source, request.webhook)
    body_limits.check_image_count(len(request.images), settings)
    fields = [f"images.{n}" for n in range(len(request.images))]
    images = to_images(request.images, fields, settings, tenant)
    return Submission(images, request.options, request.metadata, webhook=request.webhook)


def to_images(
    images: Sequence[ImageSource], fields: Sequence[str], settings: Settings, tenant: str
) -> list[SubmittedImage]:
    """Images as a request names them in these fields.

    Raises:
        InputForbidden, UrlNotAllowed: some may not be read; `errors` points at them.
    """
    _refuse_forbidden(images, fields, settings, tenant)
    _refuse_urls(images, fields, settings)
    return [_to_image(image, settings, tenant) for image in images]


def _to_image(image: ImageSource, settings: Settings, tenant: str) -> SubmittedImage:
    uploaded = image.upload and _upload_address(image.upload, settings, tenant)
    return SubmittedImage(
        image.custom_id,
        base_name(image.filename or _last_part(image)),
        address=image.s3 or image.url or uploaded,
        open=None if image.data is None else partial(decode_data, image.data),
    )


def _source(request: JobRequest, settings: Settings, tenant: str) -> Source:
    """The source that the planner will read.

    Raises:
        InputForbidden: the tenant may not read there.
    """
    kind: Literal["manifest", "archive"] = "manifest" if request.manifest else "archive"
    place = request.manifest or request.archive
    if place is not None and place.upload is not None:
        return Source(kind=kind, address=_upload_address(place.upload, settings, tenant))
    address = request.prefix or (place.s3 if place else None)
    assert address is not None
    name = "prefix" if request.prefix else kind
    if not may_read(address, settings, tenant=tenant):
        raise _forbidden_error([FieldError(field=name, message=f"{address} may not be read")])
    return Source(kind="prefix" if request.prefix else kind, address=address)


def _upload_address(upload_id: str, settings: Settings, tenant: str) -> str:
    return f"s3://{settings.s3_bucket}/{keys.upload(tenant, upload_id)}"


def _refuse_forbidden(
    images: Sequence[ImageSource], fields: Sequence[str], settings: Settings, tenant: str
) -> None:
    forbidden = [
        FieldError(field=f"{field}.s3", message=f"{image.s3} may not be read")
        for field, image in zip(fields, images, strict=True)
        if image.s3 is not None and not may_read(image.s3, settings, tenant=tenant)
    ]
    if forbidden:
        raise _forbidden_error(forbidden)


def _refuse_urls(images: Sequence[ImageSource], fields: Sequence[str], settings: Settings) -> None:
    """Raises UrlNotAllowed."""
    refused = []
    for field, image in zip(fields, images, strict=True):
        if image.url is not None:
            try:
                urls.check_url(image.url, settings)
            except UrlNotAllowed as exc:
                refused.append(FieldError(field=f"{field}.url", message=exc.message))
    if refused:
        raise UrlNotAllowed(refused[0].message, errors=refused[:MAX_FIELD_ERRORS])


def _forbidden_error(where: Sequence[FieldError]) -> InputForbidden:
    return InputForbidden(
        f"{where[0].message}: it lies in no bucket or folder that your jobs may name; "
        "upload the file, or have the operator add its place to GUANWU_S3_INPUT_BUCKETS",
        errors=list(where[:MAX_FIELD_ERRORS]),
    )


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


def _last_part(image: ImageSource) -> str | None:
    if image.url is not None:
        return urls.file_name(image.url)
    return None if image.s3 is None else image.s3.rpartition("/")[2]
