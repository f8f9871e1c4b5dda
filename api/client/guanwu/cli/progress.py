"""Progress bars on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from guanwu.wire.jobs import Job


class Stages(Protocol):
    """Receives the progress of a submission."""

    def sent(self, count: int) -> None: ...

    def watched(self, job: Job) -> None: ...

    def saved(self) -> None: ...


class Silent:
    """No progress bar: the output is not for people, or nobody watches."""

    def sent(self, count: int) -> None:
        pass

    def watched(self, job: Job) -> None:
        pass

    def saved(self) -> None:
        pass


class Bars:
    """One bar a stage: bytes sent, images done, results saved."""

    def __init__(self, progress: Progress, *, total_bytes: int, total_images: int) -> None:
        self._progress = progress
        self._total_bytes = total_bytes
        self._total_images = total_images
        self._upload: TaskID | None = None
        self._work: TaskID | None = None
        self._save: TaskID | None = None

    def sent(self, count: int) -> None:
        if self._upload is None:
            total = self._total_bytes or None
            self._upload = self._progress.add_task("上传", total=total, unit="bytes")
        self._progress.advance(self._upload, count)

    def watched(self, job: Job) -> None:
        if self._work is None:
            self._work = self._progress.add_task("识别", total=job.counts.total)
        total = job.counts.total
        left = job.counts.queued + job.counts.running
        self._progress.update(self._work, total=total or None, completed=total - left)

    def saved(self) -> None:
        if self._save is None:
            self._save = self._progress.add_task("保存", total=self._total_images)
        self._progress.advance(self._save)


class _Amount(ProgressColumn):
    """Bytes for the upload, images for the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()
        self._images = MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        column = self._bytes if task.fields.get("unit") == "bytes" else self._images
        return column.render(task)


@contextmanager
def progress(*, shown: bool, total_bytes: int = 0, total_images: int = 0) -> Iterator[Stages]:
    """Bars on stderr if it is a terminal and they are wanted."""
    if not shown or not sys.stderr.isatty():
        yield Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        _Amount(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Bars(bars, total_bytes=total_bytes, total_images=total_images)
