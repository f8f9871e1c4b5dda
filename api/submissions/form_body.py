"""Parse `multipart/form-data`: files, and a part `options`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import IO, Any

from flask import Request
from pydantic import Field
from werkzeug.datastructures import FileStorage

from api.http import body_limits
from api.http.validation import parse_body
from api.submissions.submission import Submission, SubmittedImage, base_name
from guanwu.wire.base import Wire
from guanwu.wire.options import Options
from guanwu.wire.requests import JobWebhook
from worker.contract.errors import RequestError
from worker.contract.settings.model import Settings


class Envelope(Wire):
    """A JobRequest whose images are the files beside it: the part `options` of a form."""

    options: Options = Field(default_factory=Options)
    webhook: JobWebhook | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


def read_form(request: Request, settings: Settings) -> Submission:
    files = request.files.getlist("files")
    _refuse_stray_parts(request)
    body_limits.check_image_count(len(files), settings)
    if not files:
        raise RequestError("send at least one image in a part named files", field="files")
    envelope = _read_options(_options_parts(request))
    images = [
        SubmittedImage(None, base_name(file.filename), open=partial(_open_spooled, file))
        for file in files
    ]
    return Submission(images, envelope.options, envelope.metadata, webhook=envelope.webhook)


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
    shape = parse_body(_Shape, parts[0], prefix="options")
    if "images" in shape.model_fields_set:
        raise RequestError(
            "with multipart/form-data the files are the images; leave `images` out",
            field="images",
        )
    if shape.model_fields_set.isdisjoint(Envelope.model_fields):
        return Envelope(options=parse_body(Options, parts[0], prefix="options"))
    return parse_body(Envelope, parts[0])


class _Shape(Wire, extra="allow"):
    """Tells the whole request object from its options."""

    options: Any = None
    webhook: Any = None
    metadata: Any = None


def _open_spooled(file: FileStorage) -> IO[bytes]:
    return file.stream
