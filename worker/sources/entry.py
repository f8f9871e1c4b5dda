"""One entry of a source, and the cursor behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from guanwu.wire.jobs import ItemError
from worker.contract.errors import ImageError
from worker.contract.manifest_item import ManifestItem

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"]
)


@dataclass(frozen=True)
class Entry:
    """An item to be, still without its index.

    `cursor` is opaque to all but the source that gave it: reading again from there gives
    the entries behind this one.
    """

    item: ManifestItem
    cursor: str


class SourceReader(Protocol):
    """Reads a source from a cursor on; `""` is its beginning.

    Raises, while it reads:
        SourceInvalid: the source as a whole cannot be read.
        StoreUnavailable: the store is away.
    """

    def entries(self, cursor: str) -> Iterator[Entry]: ...


def looks_like_image(name: str) -> bool:
    """True if the name ends as pictures do and is not a hidden file."""
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def refused_item(
    error: ImageError, *, custom_id: str | None = None, filename: str | None = None
) -> ManifestItem:
    """An entry that can never run, with the reason."""
    item_error = ItemError.model_validate(error.as_item_error())
    return ManifestItem(index=0, custom_id=custom_id, filename=filename, error=item_error)
