"""Requests of jobs: sources, webhook and options; uploads that they name."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonValue

from guanwu.wire.base import CustomId, Wire
from guanwu.wire.options import Options

S3Object = Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/.+$", max_length=1280)]
S3Folder = Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/(.*/)?$", max_length=1280)]
UploadId = Annotated[str, StringConstraints(pattern=r"^upl_[0-9A-HJKMNP-TV-Z]{26}$")]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


def _exactly_one(*fields: str) -> ConfigDict:
    """Says in the JSON Schema what a validator checks: one of the fields is not null."""
    given: list[JsonValue] = [
        {"required": [field], "properties": {field: {"not": {"type": "null"}}}} for field in fields
    ]
    return ConfigDict(json_schema_extra={"oneOf": given})


class ImageSource(Wire):
    """One image of a request: exactly one of `s3`, `upload`, `url` and `data`."""

    model_config = _exactly_one("s3", "upload", "url", "data")

    custom_id: CustomId | None = None
    s3: S3Object | None = None
    upload: UploadId | None = Field(None, description="An id that `POST /v1/uploads` gave.")
    url: Url | None = Field(
        None, description="Fetched by a worker, from hosts that the operator allows."
    )
    data: Annotated[str, StringConstraints(min_length=0)] | None = Field(
        None, description="The file's bytes in base64."
    )
    filename: Annotated[str, StringConstraints(max_length=255)] | None = None

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if [self.s3, self.upload, self.url, self.data].count(None) != 3:
            raise ValueError("name exactly one source: s3, upload, url or data")
        return self


class Place(Wire):
    """Where a file lies: exactly one of `s3` and `upload`."""

    model_config = _exactly_one("s3", "upload")

    s3: S3Object | None = None
    upload: UploadId | None = Field(None, description="An id that `POST /v1/uploads` gave.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.s3 is None) == (self.upload is None):
            raise ValueError("name exactly one place: s3 or upload")
        return self


def _as_place(given: object) -> object:
    return {"s3": given} if isinstance(given, str) else given


Named = Annotated[Place, BeforeValidator(_as_place, json_schema_input_type=S3Object | Place)]


class Source(Wire):
    """What a planner turns into a manifest: an `s3://` address of a list, folder or archive."""

    kind: Literal["manifest", "prefix", "archive"]
    address: Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/", max_length=1280)]


JobEvent = Literal[
    "job.succeeded", "job.partially_succeeded", "job.failed", "job.cancelled", "job.expired"
]
JOB_EVENTS: tuple[JobEvent, ...] = get_args(JobEvent)
Events = Annotated[
    tuple[JobEvent, ...],
    Field(min_length=1, max_length=len(JOB_EVENTS), description="How jobs end; default: all."),
]
HookUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2048)]


class JobWebhook(Wire):
    """Whom to tell when this job ends, beside the tenant's standing webhooks."""

    url: HookUrl
    events: Events = JOB_EVENTS


class JobRequest(Wire):
    """The JSON body of `POST /v1/jobs`: exactly one of images, manifest, prefix, archive."""

    model_config = _exactly_one("images", "manifest", "prefix", "archive")

    images: list[ImageSource] | None = Field(None, min_length=1)
    manifest: Named | None = Field(None, description="JSON Lines, one image a line.")
    prefix: S3Folder | None = Field(None, description="A folder: all its pictures.")
    archive: Named | None = Field(None, description="A zip or tar file: all its pictures.")
    options: Options = Options()
    webhook: JobWebhook | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if [self.images, self.manifest, self.prefix, self.archive].count(None) != 3:
            raise ValueError("name exactly one source: images, manifest, prefix or archive")
        return self


class Upload(Wire):
    """Where to put the file: send it with these headers, and nothing else, to `url`."""

    id: str = Field(description="what jobs name, `upl_...`")
    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: dt.datetime = Field(description="until then `url` takes the file")
