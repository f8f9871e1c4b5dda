"""Request bodies of files: opened one at a time, counted while they are read."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

Picture = str | os.PathLike[str] | bytes | tuple[str, bytes]
OnSent = Callable[[int], None]
Part = tuple[str, tuple[str, IO[bytes] | bytes, str]]

PIECE_BYTES = 1 << 18
PARALLEL_UPLOADS = 8
MIMETYPE = "application/octet-stream"


class LazyFile:
    """A file that is open only while it is read, so that thousands fit into one request."""

    def __init__(self, path: Path, on_sent: OnSent | None) -> None:
        self._path = path
        self._on_sent = on_sent
        self._file: IO[bytes] | None = None
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = self._path.stat().st_size if whence == os.SEEK_END else 0
        self._close()
        self._at = size + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self._file is None:
            self._file = self._path.open("rb")
            self._file.seek(self._at)
        piece = self._file.read(size)
        self._at += len(piece)
        if not piece:
            self._close()
        if self._on_sent is not None:
            self._on_sent(len(piece))
        return piece

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class UploadBody:
    """A file or bytes as the body of a request; sent again it begins at the beginning."""

    def __init__(self, file: Path | bytes, on_sent: OnSent | None = None) -> None:
        self._file = file
        self._on_sent = on_sent
        self.size = len(file) if isinstance(file, bytes) else file.stat().st_size

    def __iter__(self) -> Iterator[bytes]:
        with (
            io.BytesIO(self._file)
            if isinstance(self._file, bytes)
            else self._file.open("rb") as file
        ):
            while piece := file.read(PIECE_BYTES):
                if self._on_sent is not None:
                    self._on_sent(len(piece))
                yield piece


def parts(pictures: Iterable[Picture], on_sent: OnSent | None = None) -> list[Part]:
    """The form's parts `files`, in order.

    Raises:
        FileNotFoundError, IsADirectoryError: before anything is sent.
    """
    return [("files", _part(n, picture, on_sent)) for n, picture in enumerate(pictures)]


def _part(n: int, picture: Picture, on_sent: OnSent | None) -> tuple[str, IO[bytes] | bytes, str]:
    if isinstance(picture, bytes):
        return (f"{n:08d}", picture, MIMETYPE)
    if isinstance(picture, tuple):
        return (*picture, MIMETYPE)
    path = Path(picture)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name its files")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    return (path.name, cast("IO[bytes]", LazyFile(path, on_sent)), MIMETYPE)
