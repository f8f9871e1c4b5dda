"""Commands about jobs, and about what the server offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import ValidationError

from guanwu.cli import bulk_upload, output, progress, result_files
from guanwu.cli.extensions import ModelsGroup
from guanwu.cli.options import connect, json_option, out_option, server_options, with_client
from guanwu.cli.output import Row
from guanwu.cli.picture_files import find_pictures, result_stems
from guanwu.cli.upload_journal import NAME as JOURNAL
from guanwu.core.requests import ReportLanguage
from guanwu.errors import ClientError
from guanwu.sync.client import Client
from guanwu.sync.job import JobHandle
from guanwu.wire.base import Colormap, Priority, Verdict
from guanwu.wire.jobs import Job
from guanwu.wire.media import OverlayFormat
from guanwu.wire.options import Options
from guanwu.wire.results import ItemResult
from guanwu.wire.statuses import JobStatus

DEFAULT_OUT = Path("out")
DOWNLOADS = 8
SAVED_WHOLE = 1000  # of larger jobs only results.jsonl is saved, and no heatmaps
SORTS = ("index", "score", "margin", "entropy", "faithfulness", "disagreement")
ENDS = ("succeeded", "failed", "cancelled", "expired")
ALL_SUCCEEDED, SOME_FAILED, JOB_FAILED = 0, 1, 5


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH...",
)
@out_option
@click.option("--recursive", "-r", is_flag=True, help="look into folders of folders, too")
@click.option("--model", "models", multiple=True, help="model id; may be repeated")
@click.option("--label-set", help="default: the model's own")
@click.option("--top-k", type=click.IntRange(1, 100), help="labels of a picture; default: 5")
@click.option("--colormap", type=click.Choice(get_args(Colormap)), help="default: jet")
@click.option("--alpha", type=click.FloatRange(0, 1), help="weight of the heatmap; default: 0.5")
@click.option("--overlay-format", type=click.Choice(get_args(OverlayFormat)), help="default: png")
@click.option("--priority", type=click.Choice(get_args(Priority)), help="default: normal")
@json_option
@with_client
def submit(
    client: Client,
    paths: Sequence[Path],
    folder: Path | None,
    recursive: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Submit files and folders, wait, print a table and save the results.

    Results are saved in the folder `out` unless --out names another; with --json only
    if --out does. Folders of any size are uploaded bit by bit; interrupted, the same
    command goes on. Of more than 1,000 pictures only results.jsonl is saved.
    """
    job_options = _parse_options(options)
    folder = folder or (None if as_json else DEFAULT_OUT)
    pictures = find_pictures(paths, recursive=recursive)
    if not pictures:
        raise click.UsageError(
            "there are no pictures in these folders; name files, or look deeper with -r"
        )
    total_bytes = sum(picture.stat().st_size for picture in pictures)
    with progress.progress(
        shown=not as_json, total_bytes=total_bytes, total_images=len(pictures)
    ) as stages:
        job = _send(client, pictures, job_options, folder, stages, total_bytes=total_bytes)
        _follow(job, job.watch(), stages)
        if len(pictures) <= SAVED_WHOLE:
            names = {n: str(picture) for n, picture in enumerate(pictures)}
            rows = list(_save(client, job.results(), names, folder, stages))
    if len(pictures) > SAVED_WHOLE:
        output.print_large(job, job.results(), folder=folder, as_json=as_json)
    else:
        output.print_rows(rows, as_json=as_json)
    if not as_json:
        output.print_end(job.view, folder)
    return exit_code(job.view)


@click.command()
@click.argument("job")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), help="seconds; then exit 4"
)
@json_option
@with_client
def watch(client: Client, job: str, timeout_s: float | None, as_json: bool) -> int:
    """Follow a job to its end.

    Shows a bar; with --json a line for each state of the job, as it comes. The exit code is
    that of the job.
    """
    handle = client.job(job)
    views = handle.watch(timeout_s=timeout_s)
    if as_json:
        _follow(handle, views, output.Lines())
    else:
        with progress.progress(shown=True) as stages:
            _follow(handle, views, stages)
        output.print_end(handle.view, None)
    return exit_code(handle.view)


@click.command()
@click.argument("job")
@json_option
@with_client
def status(client: Client, job: str, as_json: bool) -> int:
    """Show how a job is."""
    view = client.job(job).view
    if as_json:
        click.echo(view.model_dump_json())
    else:
        output.print_job(view)
    return exit_code(view)


@click.command()
@click.argument("job")
@click.option("--order", "--sort", "sort", type=click.Choice(SORTS), help="what needs a look first")
@click.option("--status", type=click.Choice(ENDS), help="items that ended so")
@click.option("--label", help="first label: in Chinese, in English or by its id")
@click.option("--score-below", type=click.FloatRange(0, 1), help="of the first label")
@click.option("--verdict", type=click.Choice(get_args(Verdict)), help="on the first label's map")
@click.option("--limit", type=click.IntRange(1), help="the first N; default: all")
@out_option
@json_option
@with_client
def results(
    client: Client,
    job: str,
    limit: int | None,
    folder: Path | None,
    as_json: bool,
    **filters: Any,
) -> int:
    """Print the results a job has so far, and save them if --out names a folder.

    A job that is done can be filtered and sorted.
    """
    query = {name: value for name, value in filters.items() if value is not None}
    handle = client.job(job)
    remaining = islice(handle.results(**query), limit)
    items = list(islice(remaining, SAVED_WHOLE + 1))
    if len(items) > SAVED_WHOLE:
        whole = folder if limit is None and not query else None
        output.print_large(handle, chain(items, remaining), folder=whole, as_json=as_json)
    else:
        names = {item.index: output.name_of(item) for item in items}
        rows = list(_save(client, items, names, folder, progress.Silent()))
        output.print_rows(rows, as_json=as_json)
    if not as_json:
        output.print_end(handle.view, folder)
    return exit_code(handle.view)


@click.command()
@click.argument("job")
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="file for it",
)
@click.option(
    "--lang", type=click.Choice(get_args(ReportLanguage)), default="zh", show_default=True
)
@with_client
def report(client: Client, job: str, path: Path, lang: ReportLanguage) -> None:
    """Save the report of a finished job, one HTML file to read, print and keep."""
    client.job(job).report(path, lang=lang)
    click.echo(str(path))


@click.command()
@click.argument("job")
@json_option
@with_client
def retry(client: Client, job: str, as_json: bool) -> None:
    """Run the images of a finished job again that did not succeed."""
    handle = client.job(job)
    counts = handle.view.counts  # afterwards some may be done again
    line = f"{handle.id}: {counts.total - counts.succeeded} images run again"
    handle.retry()
    click.echo(handle.view.model_dump_json() if as_json else line)


@click.command()
@click.argument("job")
@json_option
@with_client
def cancel(client: Client, job: str, as_json: bool) -> None:
    """Cancel a job; results that exist stay."""
    view = client.job(job).cancel()
    click.echo(view.model_dump_json() if as_json else f"{view.id} is {view.status.value}")


@click.group(cls=ModelsGroup, invoke_without_command=True)
@json_option
@server_options
@click.pass_context
def models(context: click.Context, as_json: bool, url: str | None, token: str | None) -> None:
    """List the server's models; the commands below are about this machine's."""
    if context.invoked_subcommand is not None:
        return
    with connect(url, token) as client:
        catalog = client.models()
    if as_json:
        click.echo(catalog.model_dump_json())
        return
    for model in catalog.models:
        mark = "*" if model.default else " "
        methods = ", ".join((*model.methods, *model.label_free_methods))
        labels = model.label_set or "none"
        click.echo(f"{mark} {model.id}  {model.family}, labels: {labels}, maps: {methods}")
    click.echo("* used unless a job names others" if catalog.models else "no worker has started")


@click.command()
@json_option
@with_client
def usage(client: Client, as_json: bool) -> None:
    """Show how many images were submitted today and this month, and how many are left."""
    account = client.usage()
    if as_json:
        click.echo(account.model_dump_json())
        return
    for period, images in account.images.items():
        left = "any number" if images.left is None else f"{images.left:,}"
        until = f"{images.resets_at:%Y-%m-%d %H:%M %Z}"
        click.echo(f"{period}: {images.used:,} images submitted, {left} left until {until}")


def exit_code(job: Job) -> int:
    """0 while the job runs and when all of it succeeded."""
    if not job.done or job.status is JobStatus.SUCCEEDED:
        return ALL_SUCCEEDED
    return SOME_FAILED if job.status is JobStatus.PARTIALLY_SUCCEEDED else JOB_FAILED


def _parse_options(options: dict[str, Any]) -> Options:
    """Options of a job.

    Raises:
        click.UsageError: they are invalid.
    """
    stated = {name: value for name, value in options.items() if value not in (None, ())}
    artifacts = ["labels", "overlay", "figure", "thumbnail"]
    try:
        return Options.model_validate({"artifacts": artifacts, **stated})
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(map(str, first["loc"])).replace("_", "-")
        raise click.UsageError(f"--{field}: {first['msg']}") from exc


def _send(
    client: Client,
    pictures: Sequence[Path],
    options: Options,
    folder: Path | None,
    stages: progress.Stages,
    *,
    total_bytes: int,
) -> JobHandle:
    """Submit pictures in one request, or upload them one by one if they are too many."""
    if bulk_upload.fits_one_request(client.limits(), images=len(pictures), total_bytes=total_bytes):
        return client.submit(pictures, options=options, on_sent=stages.sent)
    journal = None if folder is None else folder / JOURNAL
    try:
        return bulk_upload.submit(
            client, pictures, options=options, journal_path=journal, stages=stages
        )
    except (KeyboardInterrupt, ClientError):
        if journal is not None:
            click.echo("The same command goes on where this one stopped.", err=True)
        raise


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


def _save(
    client: Client,
    items: Iterable[ItemResult],
    names: dict[int, str],
    folder: Path | None,
    stages: progress.Stages,
) -> Iterator[Row]:
    """Save items in `folder`, if there is one; downloads run in parallel. Rows are in order."""
    stems = dict(zip(names, result_stems(list(names.values())), strict=True))

    def save_item(item: ItemResult) -> Row:
        files = {}
        if folder is not None:
            files = result_files.save(client, item, folder=folder, stem=stems[item.index])
            stages.saved()
        return Row(names[item.index], item, files)

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        yield from pool.map(save_item, items)
