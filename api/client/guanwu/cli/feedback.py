"""`guanwu feedback`: list and export people's feedback on results."""

from __future__ import annotations

import datetime as dt
from itertools import islice
from pathlib import Path
from typing import get_args

import click

from guanwu.cli.options import json_option, since_option, with_client
from guanwu.core.requests import ExportFormat
from guanwu.sync.client import Client
from guanwu.wire.feedback import Feedback, Kind


@click.group()
def feedback() -> None:
    """Look at what people say of results, or export it."""


@feedback.command("list")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="default: all")
@since_option
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@json_option
@with_client
def list_feedback(
    client: Client, kind: Kind | None, since: dt.datetime | None, limit: int, as_json: bool
) -> None:
    """List feedback, the newest first."""
    for judgement in islice(client.feedback.list(kind=kind, since=since), limit):
        click.echo(judgement.model_dump_json() if as_json else _line(judgement))


@feedback.command()
@click.option(
    "--format",
    type=click.Choice(get_args(ExportFormat)),
    default="jsonl",
    show_default=True,
    help="label-studio: tasks to import there; coco: the boxes, for trainers",
)
@since_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="file for it; default: it is printed",
)
@with_client
def export(
    client: Client, format: ExportFormat, since: dt.datetime | None, output: Path | None
) -> None:
    """Export all feedback, the newest first."""
    if output is not None:
        client.feedback.export(output, format=format, since=since)
        return
    for piece in client.feedback.exported(format, since=since):
        click.echo(piece, nl=False)


def _line(judgement: Feedback) -> str:
    text: str = judgement.kind
    if judgement.correct:
        text = f"{text}: {judgement.correct.zh}"
    elif judgement.box_px:
        text = f"{text}: {','.join(map(str, judgement.box_px))}"
    by = f"  {judgement.by}" if judgement.by else ""
    item = f"{judgement.job} {judgement.index}  {judgement.image.filename or '-'}"
    return f"{judgement.created_at:%F %T}  {judgement.id}  {item}  {judgement.label.zh}  {text}{by}"
