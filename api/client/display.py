"""What people see: a progress bar on stderr, a table on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich import box
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
from rich.table import Table
from rich.text import Text

from guanwu.wire.jobs import Job
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus

PLAIN_WIDTH = 240  # of a table that goes into a file or a pipe


@dataclass(frozen=True)
class Row:
    """One picture's result as shown."""

    name: str
    item: ItemResult
    files: dict[str, Path] = field(default_factory=dict)


class Stages(Protocol):
    """Told how far a submission is."""

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


def print_table(rows: Sequence[Row]) -> None:
    """One line a picture; folders that all pictures share are left out of their names."""
    plain = not sys.stdout.isatty()
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title in ("图片", "识别结果", "置信度", "热图"):
        table.add_column(title, overflow="fold", justify="right" if title == "置信度" else "left")
    for row, name in zip(rows, short_names([row.name for row in rows]), strict=True):
        table.add_row(Text(name), *_cells(row))
    Console(width=PLAIN_WIDTH if plain else None, highlight=False).print(table)


def short_names(names: Sequence[str]) -> list[str]:
    """The names without the folders they share."""
    if not names or len({os.path.isabs(name) for name in names}) > 1:
        return list(names)
    shared = os.path.commonpath([os.path.dirname(name) for name in names])
    return [os.path.relpath(name, shared or os.curdir) for name in names]


def _cells(row: Row) -> tuple[Text, ...]:
    item = row.item
    heatmap = str(row.files.get("overlay", ""))
    if item.status is not ItemStatus.SUCCEEDED:
        return (Text(_why(item), style="red"), Text(""), Text(""))
    if not item.labels:
        return (Text("—"), Text(""), Text(heatmap))
    best = item.labels[0]
    label = f"未知 ({best.zh}?)" if item.unknown else best.zh
    return (Text(label), Text(f"{best.score:.2f}"), Text(heatmap))


def _why(item: ItemResult) -> str:
    if item.error is None:
        return item.status.value
    return f"{item.error.code}: {item.error.message}"


def print_job(job: Job) -> None:
    """A job in a few lines."""
    table = Table(box=None, show_header=False, pad_edge=False)
    counts = ", ".join(f"{n} {state}" for state, n in job.counts if n and state != "total")
    facts = {
        "job": job.id,
        "status": job.status.value,
        "images": f"{job.counts.total} ({counts})",
        "created": f"{job.created_at:%Y-%m-%d %H:%M:%S %Z}",
        "speed": f"{job.images_per_s} images/s" if job.images_per_s else None,
        "left": f"{job.eta_s:.0f} s" if job.eta_s is not None else None,
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    plain = not sys.stdout.isatty()
    Console(width=PLAIN_WIDTH if plain else None, highlight=False).print(table)
