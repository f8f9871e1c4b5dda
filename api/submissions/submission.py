"""Submission: a job as a client asked for it, with images, options and metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from guanwu.wire.options import Options
from guanwu.wire.requests import JobWebhook, Source

MAX_FILENAME_CHARS = 255
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class SubmittedImage:
    """One image at the door: an `s3://` address or a URL, or bytes to be opened and stored.

    `open` raises an ImageError if the bytes cannot be had.
    """

    custom_id: str | None
    filename: str | None
    address: str | None = None
    open: Callable[[], IO[bytes]] | None = None


@dataclass(frozen=True)
class Submission:
    """A job as asked for: of images, or of a source that a planner reads later.

    `payload` is the request's hash; None without an Idempotency-Key. `builds`: the images
    are the examples of the label set that the options name.
    """

    images: Sequence[SubmittedImage]
    options: Options
    metadata: dict[str, Any]
    source: Source | None = None
    webhook: JobWebhook | None = None
    payload: str | None = None
    builds: bool = False


def base_name(filename: str | None) -> str | None:
    """The name without folders and control characters, `MAX_FILENAME_CHARS` at most."""
    if filename is None:
        return None
    name = _UNPRINTABLE.sub("", re.split(r"[/\\]", filename)[-1]).strip()
    stem, dot, suffix = name.rpartition(".")
    if len(name) > MAX_FILENAME_CHARS and dot and len(suffix) < 16:
        name = stem[: MAX_FILENAME_CHARS - len(suffix) - 1] + dot + suffix
    return name[:MAX_FILENAME_CHARS] or None
