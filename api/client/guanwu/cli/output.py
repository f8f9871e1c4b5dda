"""Results on stdout: a table for people, or JSON Lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guanwu.cli import progress
from guanwu.sync.job import JobHandle
from guanwu.wire.jobs import Job
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import ItemStatus

FIRST_ROWS = 20
RESULTS = "results.jsonl"


class Lines(progress.Silent):
    """Each state of a job as a line of JSON, at once."""

    def watched(self, job: Job) -> None:
        click.echo(job.model_dump_json())


def name_of(item: ItemResult) -> str:
    return item.custom_id or item.image.filename or f"{item.index:08d}"


def print_large(
    job: JobHandle, items: Iterable[ItemResult], *, folder: Path | None, as_json: bool
) -> None:
    """More items than a table is for: the first of them; all of them as a file in `folder`."""
    if as_json:
        for item in items:
            click.echo(json.dumps(_as_line(Row(name_of(item), item)), ensure_ascii=False))
    else:
        print_rows([Row(name_of(i), i) for i in islice(items, FIRST_ROWS)], as_json=False)
        click.echo(f"... the first {FIRST_ROWS}; more: guanwu results {job.id} --sort score")
    if folder is None or not job.view.done:
        return
    folder.mkdir(parents=True, exist_ok=True)
    job.save_results(folder / RESULTS)
    click.echo(
        f"{folder / RESULTS} has all results; heatmaps of so many pictures stay on the server",
        err=as_json,
    )


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    if not as_json:
        print_table(rows)
        return
    for row in rows:
        click.echo(json.dumps(_as_line(row), ensure_ascii=False))


def _as_line(row: Row) -> dict[str, Any]:
    """An item as in `GET .../results`, with its name and the files saved."""
    files = {what: str(path) for what, path in row.files.items()}
    return {"picture": row.name, **row.item.model_dump(mode="json"), "files": files}


def print_end(job: Job, folder: Path | None) -> None:
    counts = job.counts
    text = f"\n{job.id} {job.status.value}: {counts.succeeded} of {counts.total} succeeded"
    if job.images_per_s:
        text += f", {job.images_per_s} images/s"
    if not job.done:
        text += "; it still runs, ask again for the rest"
    if folder is not None and counts.succeeded:
        text += f"; results in {folder}"
    click.echo(text)


PLAIN_WIDTH = 240  # of a table that goes into a file or a pipe


@dataclass(frozen=True)
class Row:
    """One picture's result as shown."""

    name: str
    item: ItemResult
    files: dict[str, Path] = field(default_factory=dict)


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
