"""A zip or tar file in S3. Its images are unpacked into the store, never onto the disk.

Names inside an archive are only ever shown: what is unpacked lies under its hash, so no
name can lead out of anywhere. Sizes are counted while unpacking, not believed.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from worker.contract.errors import CorruptImage, ImageError, ImageTooLarge, SourceInvalid
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import BYTES, ObjectStore, split_address
from worker.sources.entry import Entry, looks_like_image, refused_item

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError)


@dataclass(frozen=True)
class ArchiveLimits:
    """`max_unpacked_bytes` is of all images together; more is taken for a bomb."""

    max_image_bytes: int
    max_archive_bytes: int
    max_unpacked_bytes: int


class ArchiveReader:
    """Unpacks an archive image by image. Cursor: how many of its images came before."""

    def __init__(
        self, store: ObjectStore, address: str, *, tenant: str, limits: ArchiveLimits
    ) -> None:
        self._store = store
        self._bucket, self._key = split_address(address)
        self._tenant = tenant
        self._limits = limits

    def entries(self, cursor: str) -> Iterator[Entry]:
        done = int(cursor or 0)
        unpacked_bytes = 0
        with tempfile.TemporaryFile() as file:
            self._download(file)
            for number, (name, member) in enumerate(_members(file), start=1):
                if number <= done:
                    continue
                item, size = self._item(name, member)
                unpacked_bytes += size
                if unpacked_bytes > self._limits.max_unpacked_bytes:
                    raise SourceInvalid(
                        f"the archive unpacks to more than {self._limits.max_unpacked_bytes:,} "
                        "bytes; split it"
                    )
                yield Entry(item, str(number))

    def _download(self, file: IO[bytes]) -> None:
        size = 0
        for piece in self._store.stream(self._key, bucket=self._bucket):
            size += len(piece)
            if size > self._limits.max_archive_bytes:
                raise SourceInvalid(
                    f"the archive has more than {self._limits.max_archive_bytes:,} bytes; split it"
                )
            file.write(piece)
        file.seek(0)

    def _item(self, name: str, member: _Member) -> tuple[ManifestItem, int]:
        """The manifest's item of a member, stored; and how many bytes it has."""
        shown, filename = name[-256:], PurePosixPath(name).name
        try:
            data = member.read(self._limits.max_image_bytes)
        except ImageError as exc:
            return refused_item(exc, custom_id=shown, filename=filename), 0
        key = keys.input_key(self._tenant, hashlib.sha256(data).hexdigest())
        self._store.put(key, data, content_type=BYTES)
        item = ManifestItem(
            index=0,
            custom_id=shown,
            filename=filename,
            source=f"s3://{self._store.bucket}/{key}",
        )
        return item, len(data)


class _Member:
    """A file inside an archive that was not read yet."""

    def __init__(self, archive: zipfile.ZipFile | tarfile.TarFile, entry: object) -> None:
        self._archive = archive
        self._entry = entry

    def read(self, max_bytes: int) -> bytes:
        """All its bytes; stops as soon as there are more than `max_bytes`."""
        try:
            with self._open() as file:
                data = file.read(max_bytes + 1)
        except _DAMAGED as exc:
            raise CorruptImage(f"it cannot be unpacked ({exc}); pack it again") from exc
        if len(data) > max_bytes:
            raise ImageTooLarge(f"it has more than {max_bytes:,} bytes; make it smaller")
        return data

    def _open(self) -> IO[bytes]:
        if isinstance(self._archive, zipfile.ZipFile):
            assert isinstance(self._entry, zipfile.ZipInfo)
            return self._archive.open(self._entry)
        assert isinstance(self._entry, tarfile.TarInfo)
        file = self._archive.extractfile(self._entry) if self._entry.isfile() else None
        if file is None:
            raise CorruptImage("it is a link, not a file; pack the file itself")
        return file


def _members(file: IO[bytes]) -> Iterator[tuple[str, _Member]]:
    """Names and files of an archive's images, in its own order."""
    if zipfile.is_zipfile(file):
        with _readable(), zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and looks_like_image(entry.filename):
                    yield entry.filename, _Member(archive, entry)
        return
    file.seek(0)
    with _readable(), tarfile.open(fileobj=file, mode="r:*") as tar:
        for info in tar:
            if not info.isdir() and looks_like_image(info.name):
                yield info.name, _Member(tar, info)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as exc:
        raise SourceInvalid(f"the archive is neither a sound zip nor tar file: {exc}") from exc
