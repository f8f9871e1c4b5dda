"""Uploads: files that clients put into storage themselves, for jobs to name."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal
from urllib.parse import quote

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field, StringConstraints

from api import auth, limits, spec
from api.incoming import base_name
from api.services import services
from api.validation import validated
from worker.contract import keys
from worker.contract.errors import RequestTooLarge
from worker.contract.job import Wire, new_id
from worker.contract.objects import BYTES

uploads = APIBlueprint(
    "uploads",
    __name__,
    url_prefix="/v1/uploads",
    abp_tags=[Tag(name="Uploads", description="Files for jobs to name by `upload`.")],
    abp_security=spec.BEARER,
    abp_responses=spec.problems(401, 403, 422, 429, 503),
)
uploads.before_request(auth.require_tenant)
uploads.before_request(limits.check_length)


class UploadRequest(Wire):
    """What is to be uploaded. Both fields may be left out."""

    filename: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        None, description="kept beside the file in storage"
    )
    bytes: int | None = Field(None, ge=0, description="refuses a file that is too large early")


class Upload(Wire):
    """Where to put the file: send it with these headers, and nothing else, to `url`."""

    id: str = Field(description="what jobs name, `upl_...`")
    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: dt.datetime = Field(description="until then `url` takes the file")


@uploads.post(
    "",
    operation_id="create_upload",
    summary="Get a link to upload a file to",
    description=spec.UPLOAD,
    openapi_extensions={"requestBody": spec.UPLOAD_BODY},
    responses={
        201: spec.json_response("Put the file there.", Upload),
        **spec.problems(400, 413),
    },
)
def create_upload() -> Response:
    asked = validated(UploadRequest, request.get_data(cache=False) or b"{}")
    _check_size(asked.bytes)
    upload_id = new_id("upl")
    headers = _headers(asked.filename)
    link = services().store.upload_link(keys.upload(auth.tenant(), upload_id), headers=headers)
    upload = Upload(id=upload_id, url=link.url, headers=headers, expires_at=link.expires_at)
    return Response(upload.model_dump_json(), status=201, mimetype="application/json")


def _check_size(size: int | None) -> None:
    limit = services().settings.max_archive_bytes
    if size is not None and size > limit:
        raise RequestTooLarge(
            f"the file has {size:,} bytes, the limit is {limit:,}; split it",
            limits={"max_archive_bytes": limit},
        )


def _headers(filename: str | None) -> dict[str, str]:
    name = base_name(filename)
    if name is None:
        return {"Content-Type": BYTES}
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return {"Content-Type": BYTES, "Content-Disposition": disposition}
