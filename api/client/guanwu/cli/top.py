"""`guanwu top`: the workers, looked at again and again."""

from __future__ import annotations

import time

import click
from rich.console import Console, RenderableType
from rich.live import Live

from guanwu.cli import fleet_table
from guanwu.cli.output import PLAIN_WIDTH
from guanwu.errors import ClientError, ServerUnavailable, ServerUnreachable
from guanwu.sync.client import Client

AWAY = (ServerUnavailable, ServerUnreachable)  # of a server that has answered before


def top(client: Client, *, once: bool, every_s: float, as_json: bool) -> int:
    """Until Ctrl-C, or one look. A server that goes away after the first look is waited for."""
    if as_json:
        return _lines(client, once=once, every_s=every_s)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    seen = fleet_table.frame(client.workers())
    if once:
        console.print(seen)
        return 0
    with Live(seen, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            live.refresh()
            time.sleep(every_s)
            seen = _next(client, seen, live)


def _next(client: Client, seen: RenderableType, live: Live) -> RenderableType:
    """The next look; while there is none, the last one, under a line that says why."""
    try:
        seen = fleet_table.frame(client.workers())
        live.update(seen)
    except AWAY as exc:
        live.update(fleet_table.stale(seen, str(exc)))
    return seen


def _lines(client: Client, *, once: bool, every_s: float) -> int:
    click.echo(client.workers().model_dump_json())
    told: ClientError | None = None
    while not once:
        time.sleep(every_s)
        try:
            click.echo(client.workers().model_dump_json())
            told = None
        except AWAY as exc:
            if told is None:  # one line a time it is away
                click.echo(f"waiting: {exc}", err=True)
            told = exc
    return 0
