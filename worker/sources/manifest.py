"""JSON Lines in S3: one image a line, in Guanwu's form or as `{"source-ref": "s3://..."}`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from guanwu.wire.base import CustomId, Wire
from guanwu.wire.options import Options
from guanwu.wire.requests import Url
from worker.contract.errors import BadManifestLine, ImageError, InputForbidden
from worker.contract.inputs import urls
from worker.contract.inputs.s3 import may_read
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore, split_address
from worker.contract.settings.model import Settings
from worker.sources.entry import Entry, refused_item

MAX_LINE_BYTES = 64 * 2**10

_S3Address = Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/.+$", max_length=1280)]
_UploadId = Annotated[str, StringConstraints(pattern=r"^upl_[0-9A-Z]{26}$")]


class _Image(Wire):
    s3: _S3Address | None = None
    upload: _UploadId | None = None
    url: Url | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.s3, self.upload, self.url].count(None) != 2:
            raise ValueError("name exactly one source: s3, upload or url")
        return self


class _Line(Wire):
    """A line as clients write it. Labelling tools add fields of their own to `source-ref`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    custom_id: CustomId | None = None
    image: _Image | None = None
    source_ref: _S3Address | None = Field(None, validation_alias=AliasChoices("source-ref"))
    options: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.image is None) == (self.source_ref is None):
            raise ValueError("name the image as 'image' or as 'source-ref'")
        return self


class ManifestReader:
    """Reads a manifest line by line; bad lines become refused entries with their number.

    Cursor: `byte:line`, where the next line begins and how many came before.
    """

    def __init__(
        self,
        store: ObjectStore,
        address: str,
        *,
        tenant: str,
        options: Options,
        settings: Settings,
    ) -> None:
        self._store = store
        self._bucket, self._key = split_address(address)
        self._tenant = tenant
        self._options = options
        self._settings = settings

    def entries(self, cursor: str) -> Iterator[Entry]:
        start, _, before = cursor.partition(":")
        byte, number = int(start or 0), int(before or 0)
        for line in self._lines(byte):
            byte += len(line)
            number += 1
            if line.strip():
                yield Entry(self._item(line, number), f"{byte}:{number}")

    def _lines(self, start: int) -> Iterator[bytes]:
        """Lines with their line ends. One too long is cut, and refused later."""
        rest = bytearray()
        for piece in self._store.stream(self._key, bucket=self._bucket, start=start):
            rest += piece
            *whole, tail = rest.split(b"\n")
            yield from (bytes(line) + b"\n" for line in whole)
            rest = bytearray(tail)
        if rest:
            yield bytes(rest)

    def _item(self, line: bytes, number: int) -> ManifestItem:
        try:
            parsed = self._parse(line)
        except (ValidationError, BadManifestLine) as exc:
            return refused_item(BadManifestLine(f"line {number}: {_first_problem(exc)}"))
        try:
            return self._to_item(parsed)
        except ImageError as exc:
            error = type(exc)(f"line {number}: {exc.message}")
            return refused_item(error, custom_id=parsed.custom_id)

    @staticmethod
    def _parse(line: bytes) -> _Line:
        if len(line) > MAX_LINE_BYTES:
            raise BadManifestLine(
                f"{len(line):,} bytes are more than {MAX_LINE_BYTES:,}; shorten it"
            )
        return _Line.model_validate_json(line)

    def _to_item(self, line: _Line) -> ManifestItem:
        source = self._check_source(line.image or _Image(s3=line.source_ref))
        return ManifestItem(
            index=0,
            custom_id=line.custom_id,
            filename=_file_name(source),
            source=source,
            options=self._merge_options(line.options),
        )

    def _check_source(self, image: _Image) -> str:
        """The address of the image.

        Raises:
            InputForbidden, UrlNotAllowed: the tenant may not name it.
        """
        if image.url is not None:
            urls.check_url(image.url, self._settings)
            return image.url
        if image.upload is not None:
            return f"s3://{self._store.bucket}/{keys.upload(self._tenant, image.upload)}"
        assert image.s3 is not None
        if not may_read(image.s3, self._settings, tenant=self._tenant):
            raise InputForbidden(
                f"{image.s3} is not open to your jobs; have the operator add its bucket or "
                "folder to GUANWU_S3_INPUT_BUCKETS"
            )
        return image.s3

    def _merge_options(self, changes: dict[str, Any] | None) -> Options | None:
        """The job's options with a line's own; None where it has none."""
        if not changes:
            return None
        try:
            return Options.model_validate(self._options.model_dump() | changes)
        except ValidationError as exc:
            raise BadManifestLine(f"options: {_first_problem(exc)}") from exc


def _file_name(source: str) -> str | None:
    in_store = source.startswith("s3://")
    return PurePosixPath(source).name if in_store else urls.file_name(source)


def _first_problem(exc: ValidationError | BadManifestLine) -> str:
    if isinstance(exc, BadManifestLine):
        return exc.message
    problem = exc.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else problem["msg"]
