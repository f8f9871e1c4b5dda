"""Uploads: links by which clients put files into storage, for jobs to name."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from flask import Response, request
from pydantic import Field, StringConstraints

from api.http import auth
from api.http.responses import json_response
from api.http.validation import parse_body
from api.openapi import responses
from api.openapi.blueprints import api_blueprint
from api.services.container import services
from api.submissions import bodies, descriptions
from api.submissions.submission import base_name
from guanwu.wire.base import Wire, new_id
from guanwu.wire.requests import Upload
from worker.contract.errors import RequestTooLarge
from worker.contract.objects import keys

uploads = api_blueprint(
    "uploads", __name__, tag="Uploads", url_prefix="/v1/uploads", problems=(422,), changes="upload"
)


UploadType = Literal[
    "application/octet-stream",
    "application/zip",
    "application/x-tar",
    "application/gzip",
    "application/x-ndjson",
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "image/avif",
]


class UploadRequest(Wire):
    """What is to be uploaded. The link takes a file of this size and type, and no other."""

    bytes: int = Field(ge=0, description="the file's size, exactly")
    content_type: UploadType = Field(
        "application/octet-stream",
        description="of an image: it may be as large as an image, not as an archive",
    )
    filename: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        None, description="kept beside the file in storage"
    )


@uploads.post(
    "",
    operation_id="create_upload",
    summary="Get a link to upload a file to",
    description=descriptions.UPLOAD,
    openapi_extensions={"requestBody": bodies.UPLOAD_BODY},
    responses={
        201: responses.describe_json("Put the file there.", Upload),
        **responses.problems(400, 413),
    },
)
def create_upload() -> Response:
    file = parse_body(UploadRequest, request.get_data(cache=False) or b"{}")
    _check_size(file)
    upload_id = new_id("upl")
    headers = _sign_headers(file) | services().store.encryption
    link = services().store.upload_link(keys.upload(auth.tenant(), upload_id), headers=headers)
    upload = Upload(id=upload_id, url=link.url, headers=headers, expires_at=link.expires_at)
    return json_response(upload, status=201)


def _check_size(file: UploadRequest) -> None:
    settings = services().settings
    is_image = file.content_type.startswith("image/")
    name = "max_image_bytes" if is_image else "max_archive_bytes"
    limit = settings.max_image_bytes if is_image else settings.max_archive_bytes
    if file.bytes > limit:
        raise RequestTooLarge(
            f"the file has {file.bytes:,} bytes, the limit is {limit:,}; "
            f"{'make it smaller' if is_image else 'split it'}",
            limits={name: limit},
        )


def _sign_headers(file: UploadRequest) -> dict[str, str]:
    """Headers that the link is signed for: the store refuses a PUT with another size or type."""
    headers = {"Content-Type": file.content_type, "Content-Length": str(file.bytes)}
    name = base_name(file.filename)
    if name is not None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return headers
