"""Limits of request bodies, checked before a body is read."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, request

from api.http.rate_limits import READING
from api.services.container import services
from worker.contract.errors import RequestError, RequestTooLarge, TooManyImages
from worker.contract.settings.model import Settings

MAX_METADATA_BYTES = 16 * 1024  # every claim of a worker carries it
MAX_FORM_FIELD_BYTES = 2**20  # the part `options`; files are spooled and do not count
STALL_S = 30.0  # without a byte of the body, or taken of the answer
MULTIPART = "multipart/form-data"


def configure(app: Flask, settings: Settings) -> None:
    """Werkzeug's own limits, for bodies that do not tell their length beforehand."""
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM_FIELD_BYTES
    app.config["MAX_FORM_PARTS"] = settings.max_images_per_request + 16


def set_read_timeout() -> None:
    """Before a request: a client that stalls half-way gives its thread back.

    Gunicorn's threads read bodies without any timeout of their own.
    """
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(STALL_S)


def check_length() -> None:
    """Before a request: refuse a body by its length, unread. Calls that only read have none.

    Raises:
        RequestTooLarge: the remedy is in the message.
    """
    if request.method in READING:
        return
    settings = services().settings
    request.max_content_length = _limit_of(settings)
    if (request.content_length or 0) > request.max_content_length:
        raise too_large(settings)


def too_large(settings: Settings) -> RequestTooLarge:
    """The error of a body over its limit."""
    limit = _limit_of(settings)
    if request.mimetype == MULTIPART:
        return RequestTooLarge(
            f"the body may have {limit:,} bytes and {settings.max_images_per_request:,} images "
            f"at most, `options` {MAX_FORM_FIELD_BYTES:,} bytes; split it into several jobs",
            limits={"max_request_bytes": limit, "max_images": settings.max_images_per_request},
        )
    return RequestTooLarge(
        f"a JSON body may have {limit:,} bytes at most; send files as multipart/form-data "
        "or name them by `s3` instead of `data`",
        limits={"max_json_bytes": limit},
    )


def _limit_of(settings: Settings) -> int:
    if request.mimetype == MULTIPART:
        return settings.max_request_bytes
    return settings.max_json_bytes


def check_image_count(count: int, settings: Settings) -> None:
    """Raises TooManyImages unless one request may carry `count` images."""
    limit = settings.max_images_per_request
    if count > limit:
        raise TooManyImages(
            f"the request names {count:,} images, the limit is {limit:,}; "
            "split it into several jobs",
            limits={"max_images": limit},
        )


def check_metadata(metadata: dict[str, Any]) -> None:
    """Raises RequestError unless the metadata is small."""
    size = len(json.dumps(metadata, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_METADATA_BYTES:
        raise RequestError(
            f"metadata has {size:,} bytes as JSON, the limit is {MAX_METADATA_BYTES:,}; "
            "keep the rest on your side under an id",
            field="metadata",
        )
