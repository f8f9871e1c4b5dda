"""`guanwu labelsets`: label sets of one's own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from guanwu.cli.options import json_option, since_option, with_client
from guanwu.cli.picture_files import find_pictures
from guanwu.core.label_names import LabelNames, split_name
from guanwu.sync.client import Client
from guanwu.wire.label_sets import ClientSet

FAILED = 1
_FAMILIES = ("vit", "clip", "cnn", "resnest")  # those that make most of few pictures first


@click.group()
def labelsets() -> None:
    """Look after label sets of your own."""


@labelsets.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--model", help="that looks at the pictures; default: one of the server's")
@click.option("--name", help="default: that of PATH")
@json_option
@with_client
def create(client: Client, path: Path, model: str | None, name: str | None, as_json: bool) -> int:
    """Make a label set of PATH and wait until it is ready.

    PATH is a folder with one folder of pictures for each label, or a text file of words, one label
    a line. A label is called as its folder or line: in one language, or as 龙井_longjing in both.
    """
    if path.is_file():
        words = [split_name(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        version = client.labelsets.of_words(words, name=name or path.stem)
        return _print_version(version, as_json=as_json)
    examples = examples_in(path)
    model = model or _default_model(client)
    if not as_json:
        count = sum(map(len, examples.values()))
        click.echo(f"{count} pictures of {len(examples)} labels for {model} ...")
    version = client.labelsets.of_examples(dict(examples), model=model, name=name or path.name)
    return _print_version(version, as_json=as_json)


@labelsets.command("list")
@json_option
@with_client
def list_label_sets(client: Client, as_json: bool) -> None:
    """List your label sets, the newest first."""
    for version in client.labelsets.list():
        click.echo(version.model_dump_json() if as_json else _line(version))


@labelsets.command()
@click.argument("label_set")
@click.option("--version", type=click.IntRange(1), help="default: the newest")
@json_option
@with_client
def show(client: Client, label_set: str, version: int | None, as_json: bool) -> int:
    """Show a version of a label set."""
    return _print_version(client.labelsets.get(label_set, version=version), as_json=as_json)


@labelsets.command()
@click.argument("label_set")
@click.option("--job", help="feedback on items of this job; default: all")
@since_option
@click.option("--accept", is_flag=True, help="make the version, and wait until it is ready")
@json_option
@with_client
def absorb(
    client: Client,
    label_set: str,
    job: str | None,
    since: dt.datetime | None,
    accept: bool,
    as_json: bool,
) -> int:
    """Show what feedback would add to a label set; with --accept it becomes a new version."""
    proposal = client.labelsets.absorb(label_set, job=job, since=since)
    if not as_json:
        for zh, count in proposal.added.items():
            click.echo(f"+{count}  {zh}")
        for reason, count in proposal.skipped.items():
            click.echo(f" {count} left out: {reason}")
    if accept:
        return _print_version(client.labelsets.accept(proposal), as_json=as_json)
    click.echo(proposal.model_dump_json() if as_json else "nothing has changed yet; use --accept")
    return 0


@labelsets.command()
@click.argument("label_set")
@with_client
def delete(client: Client, label_set: str) -> None:
    """Delete a label set; jobs that run on it end well."""
    client.labelsets.delete(label_set)
    click.echo(f"{label_set} is deleted")


def examples_in(folder: Path) -> dict[LabelNames, list[Path]]:
    """The pictures of a folder of folders, by label.

    Raises:
        click.UsageError: there are fewer than two, or one without pictures.
    """
    folders = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if len(folders) < 2:
        raise click.UsageError(f"{folder} needs a folder for each label, two or more")
    examples = {split_name(f.name): find_pictures([f], recursive=False) for f in folders}
    if empty := [
        f.name for f, pictures in zip(folders, examples.values(), strict=True) if not pictures
    ]:
        raise click.UsageError(f"there is no picture in {folder / empty[0]}")
    return examples


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


def _print_version(version: ClientSet, *, as_json: bool) -> int:
    """Print a version; returns the exit code."""
    if as_json:
        click.echo(version.model_dump_json())
    else:
        click.echo(_line(version))
        for failed in version.failures:
            name = failed.filename or failed.index
            click.echo(f"  not used: {failed.label}/{name}  {failed.code}")
        if version.error:
            click.echo(f"  {version.error.message} [{version.error.code}]")
        elif version.status == "ready":
            click.echo(f"use it: guanwu submit --label-set {version.id} PATH...")
    return FAILED if version.status == "failed" else 0


def _line(version: ClientSet) -> str:
    names = ", ".join(label.zh for label in version.labels[:5])
    more = " ..." if len(version.labels) > 5 else ""
    labels = f"{len(version.labels)} labels: {names}{more}"
    source = version.model or "words"
    return f"{version.ref}  {version.status}  {version.name or '-'}  {source}  {labels}"
