"""What the commands do, once the command line is read. Each returns its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from api.client import display, saving
from api.client.client import Client, JobHandle
from api.client.display import Row
from api.client.pictures import find_pictures, result_stems
from worker.contract.job import ItemResult, Job, JobStatus, Options

DOWNLOADS = 8
ALL_SUCCEEDED, SOME_FAILED, JOB_FAILED = 0, 1, 5


def exit_code(job: Job) -> int:
    """0 while the job runs and when all of it succeeded."""
    if not job.done or job.status is JobStatus.SUCCEEDED:
        return ALL_SUCCEEDED
    return SOME_FAILED if job.status is JobStatus.PARTIALLY_SUCCEEDED else JOB_FAILED


def submit(
    client: Client,
    paths: Iterable[Path],
    *,
    options: Options,
    recursive: bool,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Submit, wait, save, print."""
    pictures = find_pictures(paths, recursive=recursive)
    if not pictures:
        raise click.UsageError(
            "there are no pictures in these folders; name files, or look deeper with -r"
        )
    total_bytes = sum(picture.stat().st_size for picture in pictures)
    with display.progress(
        shown=not as_json, total_bytes=total_bytes, total_images=len(pictures)
    ) as stages:
        job = client.submit(pictures, options=options, on_sent=stages.sent)
        _watch(job, stages)
        names = {n: str(picture) for n, picture in enumerate(pictures)}
        rows = list(_saved(client, job.results(), names, folder, stages))
    _print_rows(rows, as_json=as_json)
    if not as_json:
        _print_end(job.view, folder)
    return exit_code(job.view)


def _watch(job: JobHandle, stages: display.Stages) -> None:
    try:
        for view in job.watch():
            stages.watched(view)
    except KeyboardInterrupt:
        click.echo(
            f"\nThe job goes on. Come back with: guanwu results {job.id} --out DIR\n"
            f"or end it with: guanwu cancel {job.id}",
            err=True,
        )
        raise


def status(client: Client, job_id: str, *, as_json: bool) -> int:
    job = client.job(job_id).view
    if as_json:
        click.echo(job.model_dump_json())
    else:
        display.print_job(job)
    return exit_code(job)


def cancel(client: Client, job_id: str, *, as_json: bool) -> int:
    job = client.job(job_id).cancel()
    click.echo(job.model_dump_json() if as_json else f"{job.id} is {job.status.value}")
    return 0


def results(client: Client, job_id: str, *, folder: Path | None, as_json: bool) -> int:
    """Print what there is, and save it if `folder` is given."""
    job = client.job(job_id)
    items = list(job.results())
    names = {item.index: _name_of(item) for item in items}
    rows = list(_saved(client, items, names, folder, display.Silent()))
    _print_rows(rows, as_json=as_json)
    if not as_json:
        _print_end(job.view, folder)
    return exit_code(job.view)


def models(client: Client, *, as_json: bool) -> int:
    catalog = client.models()
    if as_json:
        click.echo(catalog.model_dump_json())
        return 0
    for model in catalog.models:
        mark = "*" if model.default else " "
        methods = ", ".join((*model.methods, *model.label_free_methods))
        labels = model.label_set or "none"
        click.echo(f"{mark} {model.id}  {model.family}, labels: {labels}, maps: {methods}")
    click.echo("* used unless a job names others" if catalog.models else "no worker has started")
    return 0


def _name_of(item: ItemResult) -> str:
    return item.image.filename or item.custom_id or f"{item.index:08d}"


def _saved(
    client: Client,
    items: Iterable[ItemResult],
    names: dict[int, str],
    folder: Path | None,
    stages: display.Stages,
) -> Iterator[Row]:
    """Rows in the items' order; downloads run side by side."""
    stems = dict(zip(names, result_stems(list(names.values())), strict=True))

    def one(item: ItemResult) -> Row:
        files = {}
        if folder is not None:
            files = saving.save(client, item, folder=folder, stem=stems[item.index])
            stages.saved()
        return Row(names[item.index], item, files)

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        yield from pool.map(one, items)


def _print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    if not as_json:
        display.print_table(rows)
        return
    for row in rows:
        click.echo(json.dumps(_as_line(row), ensure_ascii=False))


def _as_line(row: Row) -> dict[str, Any]:
    """An item as in `GET .../results`, with its name and the files saved."""
    files = {what: str(path) for what, path in row.files.items()}
    return {"picture": row.name, **row.item.model_dump(mode="json"), "files": files}


def _print_end(job: Job, folder: Path | None) -> None:
    counts = job.counts
    text = f"\n{job.id} {job.status.value}: {counts.succeeded} of {counts.total} succeeded"
    if job.images_per_s:
        text += f", {job.images_per_s} images/s"
    if not job.done:
        text += "; it still runs, ask again for the rest"
    if folder is not None and counts.succeeded:
        text += f"; results in {folder}"
    click.echo(text)
