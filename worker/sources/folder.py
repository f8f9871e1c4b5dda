"""A folder in S3: every object under it that looks like an image, in the order of keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from worker.contract.manifest_item import ManifestItem
from worker.contract.objects.store import ObjectStore, split_address
from worker.sources.entry import Entry, looks_like_image


class PrefixReader:
    """Lists a folder page by page. Cursor: the last key listed."""

    def __init__(self, store: ObjectStore, address: str) -> None:
        self._store = store
        self._bucket, self._prefix = split_address(address)

    def entries(self, cursor: str) -> Iterator[Entry]:
        for key in self._store.keys(self._prefix, bucket=self._bucket, after=cursor):
            if looks_like_image(key):
                item = ManifestItem(
                    index=0,
                    custom_id=_shorten(key.removeprefix(self._prefix)),
                    filename=PurePosixPath(key).name,
                    source=f"s3://{self._bucket}/{key}",
                )
                yield Entry(item, key)


def _shorten(name: str, *, limit: int = 256) -> str:
    """A custom_id holds 256 characters; the end of a long path tells more than its beginning."""
    return name if len(name) <= limit else "…" + name[-(limit - 1) :]
