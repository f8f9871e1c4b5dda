"""What the commands of `guanwu labelsets` do. Each returns its exit code."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from guanwu.cli.picture_files import find_pictures
from guanwu.core.label_names import LabelNames, split_name
from guanwu.sync.client import Client
from guanwu.wire.label_sets import ClientSet

FAILED = 1
_FAMILIES = ("vit", "clip", "cnn", "resnest")  # those that make most of few pictures first


def create(
    client: Client, path: Path, *, model: str | None, name: str | None, as_json: bool
) -> int:
    """From a folder of folders, or of a file's lines."""
    if path.is_file():
        words = [split_name(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        return _told(client.labelsets.of_words(words, name=name or path.stem), as_json=as_json)
    examples = examples_in(path)
    chosen = model or _default_model(client)
    if not as_json:
        count = sum(map(len, examples.values()))
        click.echo(f"{count} pictures of {len(examples)} labels for {chosen} ...")
    made = client.labelsets.of_examples(dict(examples), model=chosen, name=name or path.name)
    return _told(made, as_json=as_json)


def examples_in(folder: Path) -> dict[LabelNames, list[Path]]:
    """One folder a label: its pictures.

    Raises:
        click.UsageError: there are fewer than two, or one without pictures.
    """
    folders = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if len(folders) < 2:
        raise click.UsageError(f"{folder} needs a folder for each label, two or more")
    found = {split_name(f.name): find_pictures([f], recursive=False) for f in folders}
    if bare := [
        f.name for f, pictures in zip(folders, found.values(), strict=True) if not pictures
    ]:
        raise click.UsageError(f"there is no picture in {folder / bare[0]}")
    return found


def show_all(client: Client, *, as_json: bool) -> int:
    for one in client.labelsets.list():
        click.echo(one.model_dump_json() if as_json else _line(one))
    return 0


def show(client: Client, set_id: str, *, version: int | None, as_json: bool) -> int:
    return _told(client.labelsets.get(set_id, version=version), as_json=as_json)


def absorb(
    client: Client,
    set_id: str,
    *,
    job: str | None,
    since: dt.datetime | None,
    accept: bool,
    as_json: bool,
) -> int:
    """Show what feedback would add; with `accept` it does."""
    proposal = client.labelsets.absorb(set_id, job=job, since=since)
    if not as_json:
        for zh, count in proposal.added.items():
            click.echo(f"+{count}  {zh}")
        for reason, count in proposal.skipped.items():
            click.echo(f" {count} left out: {reason}")
    if accept:
        return _told(client.labelsets.accept(proposal), as_json=as_json)
    click.echo(proposal.model_dump_json() if as_json else "nothing has changed yet; use --accept")
    return 0


def delete(client: Client, set_id: str) -> int:
    client.labelsets.delete(set_id)
    click.echo(f"{set_id} is deleted")
    return 0


def _default_model(client: Client) -> str:
    """One of the server's, of those it uses by default if it can be.

    Raises:
        click.UsageError: there is none that takes examples.
    """
    fitting = [m for m in client.models().models if m.family in _FAMILIES]
    fitting.sort(key=lambda m: (not m.default, _FAMILIES.index(m.family)))
    if not fitting:
        raise click.UsageError("no worker has a model that takes examples; name one with --model")
    return fitting[0].id


def _told(made: ClientSet, *, as_json: bool) -> int:
    if as_json:
        click.echo(made.model_dump_json())
    else:
        click.echo(_line(made))
        for failed in made.failures:
            click.echo(
                f"  not used: {failed.label}/{failed.filename or failed.index}  {failed.code}"
            )
        if made.error:
            click.echo(f"  {made.error.message} [{made.error.code}]")
        elif made.status == "ready":
            click.echo(f"use it: guanwu submit --label-set {made.id} PATH...")
    return FAILED if made.status == "failed" else 0


def _line(one: ClientSet) -> str:
    names = ", ".join(label.zh for label in one.labels[:5])
    more = " ..." if len(one.labels) > 5 else ""
    about = f"{len(one.labels)} labels: {names}{more}"
    return f"{one.ref}  {one.status}  {one.name or '-'}  {one.model or 'words'}  {about}"
