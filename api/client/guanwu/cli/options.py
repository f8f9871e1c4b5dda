"""Shared options of the command line, and the server that they name."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from guanwu.sync.client import Client

P = ParamSpec("P")
R = TypeVar("R")

STACK_FILE = Path(".guanwu") / "stack.json"
REMEDY = (
    "start a server here with `make up`, or name one by --url and --token, "
    "or by the variables GUANWU_URL and GUANWU_TOKEN"
)

json_option = click.option("--json", "as_json", is_flag=True, help="JSON for pipes, no table")
out_option = click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="folder for the results",
)
since_option = click.option(
    "--since",
    type=click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z")),
    help="made then or later, in this machine's time unless it ends in Z or +08:00",
)
_server_options = (
    click.option("--url", help="of the server; default: GUANWU_URL, or that of `make up`"),
    click.option("--token", help="access token; default: GUANWU_TOKEN, or that of `make up`"),
)


class NoServer(Exception):
    """It is not known which server to talk to, or with which token."""


@dataclass(frozen=True)
class Server:
    """A server's URL, and the token to call it with."""

    url: str
    token: str


def server_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add --url and --token."""
    for option in reversed(_server_options):
        command = option(command)
    return command


def with_client(command: Callable[..., R]) -> Callable[..., R]:
    """Add --url and --token, and call `command` with a client of the server that they name."""

    @functools.wraps(command)
    def run(url: str | None, token: str | None, **options: Any) -> R:
        with connect(url, token) as client:
            return command(client, **options)

    return server_options(run)


def connect(url: str | None, token: str | None) -> Client:
    """A client of the server that options, environment or this folder name."""
    server = find_server(url, token, environ=os.environ, directory=Path.cwd())
    return Client(server.url, server.token)


def find_server(
    url: str | None, token: str | None, *, environ: Mapping[str, str], directory: Path
) -> Server:
    """The first of: `url` and `token`, GUANWU_URL and GUANWU_TOKEN, a stack of `make up`.

    The stack's token goes to the stack's own URL only.

    Raises:
        NoServer: the message says how to name one.
    """
    url = url or environ.get("GUANWU_URL") or None
    token = token or environ.get("GUANWU_TOKEN") or None
    stack = _read_stack(directory / STACK_FILE)
    if url is None and stack.get("url"):
        url = str(stack["url"])
    if token is None and url is not None and url.rstrip("/") == stack.get("url"):
        token = str(stack["token"])
    if url is None:
        raise NoServer(f"no server is named, and none runs from this folder; {REMEDY}")
    if not url.startswith(("http://", "https://")):
        raise NoServer(f"the server's URL {url!r} does not begin with http:// or https://")
    if token is None:
        raise NoServer(f"there is no access token for {url}; {REMEDY}")
    return Server(url.rstrip("/"), token)


def _read_stack(path: Path) -> dict[str, Any]:
    try:
        stack = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return stack if isinstance(stack, dict) else {}
