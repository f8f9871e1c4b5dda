"""Results on stdout: a table for people, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from api.client import display
from api.client.display import Row
from api.client.handle import JobHandle
from guanwu.wire.jobs import Job
from guanwu.wire.results import ItemResult

FIRST_ROWS = 20
RESULTS = "results.jsonl"


class Lines(display.Silent):
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
        display.print_table(rows)
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
