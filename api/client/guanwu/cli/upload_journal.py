"""Journal of uploads: a file of lines, so that an interrupted upload goes on."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAME = ".guanwu-upload.jsonl"
FRESH_S = 20 * 3600  # servers keep uploads that no job names for a day

Known = tuple[str, int, int]


class UploadJournal:
    """Uploads of one folder to one server. A file that has changed counts as new.

    Without a path it is forgotten at the end.
    """

    def __init__(self, path: Path | None, *, server: str) -> None:
        self._path = path
        self._server = server
        self._lock = threading.Lock()
        self._known: dict[Known, str] = {} if path is None else dict(_read(path, server))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = None if path is None else path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def upload_of(self, picture: Path) -> str | None:
        """The id a file was uploaded under, if it is the same still."""
        return self._known.get(_identity(picture))

    def add(self, picture: Path, upload: str) -> None:
        path, size, mtime_ns = _identity(picture)
        line = {"path": path, "size": size, "mtime_ns": mtime_ns, "upload": upload}
        text = json.dumps(line | {"server": self._server, "at_s": time.time()})
        with self._lock:
            self._known[path, size, mtime_ns] = upload
            if self._file is not None:
                self._file.write(text + "\n")
                self._file.flush()

    def forget(self) -> None:
        """The job is accepted: there is nothing to go on with."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _identity(picture: Path) -> Known:
    facts = picture.stat()
    return str(picture.resolve()), facts.st_size, facts.st_mtime_ns


def _read(path: Path, server: str) -> dict[Known, str]:
    known = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        entry = _entry(line)
        if entry.get("server") == server and time.time() - entry["at_s"] < FRESH_S:
            known[entry["path"], entry["size"], entry["mtime_ns"]] = entry["upload"]
    return known


def _entry(line: str) -> dict[str, Any]:
    """A line; {} if it was cut off in the middle."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
