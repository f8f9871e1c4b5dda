"""What the commands do, once the command line is read. Each returns its exit code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click

from guanwu.cli import bulk_upload, output, progress, result_files
from guanwu.cli.output import Row, print_job
from guanwu.cli.picture_files import find_pictures, result_stems
from guanwu.cli.upload_journal import NAME as JOURNAL
from guanwu.core.requests import ReportLanguage
from guanwu.errors import ClientError
from guanwu.sync.client import Client
from guanwu.sync.job import JobHandle
from guanwu.wire.jobs import Job
from guanwu.wire.options import Options
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import JobStatus

DOWNLOADS = 8
SAVED_WHOLE = 1000  # of larger jobs only results.jsonl is saved, and no heatmaps
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
    with progress.progress(
        shown=not as_json, total_bytes=total_bytes, total_images=len(pictures)
    ) as stages:
        job, names = _sent(client, pictures, options, folder, stages, total_bytes=total_bytes)
        _follow(job, job.watch(), stages)
        if len(pictures) <= SAVED_WHOLE:
            rows = list(_saved(client, job.results(), names, folder, stages))
    if len(pictures) > SAVED_WHOLE:
        output.print_large(job, job.results(), folder=folder, as_json=as_json)
    else:
        output.print_rows(rows, as_json=as_json)
    if not as_json:
        output.print_end(job.view, folder)
    return exit_code(job.view)


def _sent(
    client: Client,
    pictures: Sequence[Path],
    options: Options,
    folder: Path | None,
    stages: progress.Stages,
    *,
    total_bytes: int,
) -> tuple[JobHandle, dict[int, str]]:
    """The job, and what its items are called."""
    names = {n: str(picture) for n, picture in enumerate(pictures)}
    if bulk_upload.fits_one_request(client.limits(), images=len(pictures), total_bytes=total_bytes):
        return client.submit(pictures, options=options, on_sent=stages.sent), names
    journal = None if folder is None else folder / JOURNAL
    try:
        job = bulk_upload.submit(
            client, pictures, options=options, journal_path=journal, stages=stages
        )
    except (KeyboardInterrupt, ClientError):
        if journal is not None:
            click.echo("The same command goes on where this one stopped.", err=True)
        raise
    return job, names


def _follow(job: JobHandle, views: Iterable[Job], stages: progress.Stages) -> None:
    try:
        for view in views:
            stages.watched(view)
    except KeyboardInterrupt:
        click.echo(
            f"\nThe job goes on. Come back with: guanwu results {job.id} --out DIR\n"
            f"or end it with: guanwu cancel {job.id}",
            err=True,
        )
        raise


def watch(client: Client, job_id: str, *, timeout_s: float | None, as_json: bool) -> int:
    """Follow a job to its end: a bar for people, or each state as a line."""
    job = client.job(job_id)
    views = job.watch(timeout_s=timeout_s)
    if as_json:
        _follow(job, views, output.Lines())
    else:
        with progress.progress(shown=True) as stages:
            _follow(job, views, stages)
        output.print_end(job.view, None)
    return exit_code(job.view)


def status(client: Client, job_id: str, *, as_json: bool) -> int:
    job = client.job(job_id).view
    if as_json:
        click.echo(job.model_dump_json())
    else:
        print_job(job)
    return exit_code(job)


def cancel(client: Client, job_id: str, *, as_json: bool) -> int:
    job = client.job(job_id).cancel()
    click.echo(job.model_dump_json() if as_json else f"{job.id} is {job.status.value}")
    return 0


def retry(client: Client, job_id: str, *, as_json: bool) -> int:
    job = client.job(job_id)
    counts = job.view.counts  # afterwards some may be done again
    told = f"{job.id}: {counts.total - counts.succeeded} images run again"
    job.retry()
    click.echo(job.view.model_dump_json() if as_json else told)
    return 0


def results(
    client: Client,
    job_id: str,
    *,
    folder: Path | None,
    as_json: bool,
    limit: int | None,
    **query: Any,
) -> int:
    """Print what there is, or what of it is asked for, and save it if `folder` is given."""
    job = client.job(job_id)
    found = islice(job.results(**query), limit)
    items = list(islice(found, SAVED_WHOLE + 1))
    if len(items) > SAVED_WHOLE:
        whole = folder if limit is None and not query else None
        output.print_large(job, chain(items, found), folder=whole, as_json=as_json)
    else:
        names = {item.index: output.name_of(item) for item in items}
        rows = list(_saved(client, items, names, folder, progress.Silent()))
        output.print_rows(rows, as_json=as_json)
    if not as_json:
        output.print_end(job.view, folder)
    return exit_code(job.view)


def report(client: Client, job_id: str, *, lang: ReportLanguage, output: Path) -> int:
    client.job(job_id).report(output, lang=lang)
    click.echo(str(output))
    return 0


def usage(client: Client, *, as_json: bool) -> int:
    account = client.usage()
    if as_json:
        click.echo(account.model_dump_json())
        return 0
    for period, images in account.images.items():
        left = "any number" if images.left is None else f"{images.left:,}"
        until = f"{images.resets_at:%Y-%m-%d %H:%M %Z}"
        click.echo(f"{period}: {images.used:,} images submitted, {left} left until {until}")
    return 0


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


def _saved(
    client: Client,
    items: Iterable[ItemResult],
    names: dict[int, str],
    folder: Path | None,
    stages: progress.Stages,
) -> Iterator[Row]:
    """Rows in the items' order; downloads run side by side."""
    stems = dict(zip(names, result_stems(list(names.values())), strict=True))

    def one(item: ItemResult) -> Row:
        files = {}
        if folder is not None:
            files = result_files.save(client, item, folder=folder, stem=stems[item.index])
            stages.saved()
        return Row(names[item.index], item, files)

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        yield from pool.map(one, items)
