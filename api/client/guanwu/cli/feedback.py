"""What the commands of `guanwu feedback` do. Each returns its exit code."""

from __future__ import annotations

import datetime as dt
from itertools import islice
from pathlib import Path

import click

from guanwu.core.requests import ExportFormat
from guanwu.sync.client import Client
from guanwu.wire.feedback import Feedback, Kind


def show(
    client: Client, *, kind: Kind | None, since: dt.datetime | None, limit: int, as_json: bool
) -> int:
    for given in islice(client.feedback.list(kind=kind, since=since), limit):
        click.echo(given.model_dump_json() if as_json else _line(given))
    return 0


def _line(given: Feedback) -> str:
    said: str = given.kind
    if given.correct:
        said = f"{said}: {given.correct.zh}"
    elif given.box_px:
        said = f"{said}: {','.join(map(str, given.box_px))}"
    by = f"  {given.by}" if given.by else ""
    about = f"{given.job} {given.index}  {given.image.filename or '-'}"
    return f"{given.created_at:%F %T}  {given.id}  {about}  {given.label.zh}  {said}{by}"


def export(
    client: Client, format: ExportFormat, *, since: dt.datetime | None, output: Path | None
) -> int:
    """To the file, or to where the command prints."""
    if output is not None:
        client.feedback.export(output, format=format, since=since)
        return 0
    for piece in client.feedback.exported(format, since=since):
        click.echo(piece, nl=False)
    return 0
