"""`guanwu top`: the state of the workers, shown live."""

from __future__ import annotations

import time

import click
from rich.console import Console, RenderableType
from rich.live import Live

from guanwu.cli import fleet_table
from guanwu.cli.options import json_option, with_client
from guanwu.cli.output import PLAIN_WIDTH
from guanwu.errors import ClientError, ServerUnavailable, ServerUnreachable
from guanwu.sync.client import Client

AWAY = (ServerUnavailable, ServerUnreachable)  # of a server that has answered before


@click.command()
@click.option("--once", is_flag=True, help="one look, then end")
@click.option(
    "--every", "every_s", type=click.FloatRange(0.5), default=2.0, show_default=True, help="seconds"
)
@json_option
@with_client
def top(client: Client, once: bool, every_s: float, as_json: bool) -> None:
    """Show what the workers do, live, until Ctrl-C.

    Devices, images a second, the queue, the stages and which of them holds images up, and the
    latest errors. Takes an access token with the scope admin. With --json a line for each look.
    """
    if as_json:
        _print_lines(client, once=once, every_s=every_s)
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    frame = fleet_table.frame(client.workers())
    if once:
        console.print(frame)
        return
    with Live(frame, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            live.refresh()
            time.sleep(every_s)
            frame = _next_frame(client, frame, live)


def _next_frame(client: Client, last: RenderableType, live: Live) -> RenderableType:
    """Show the next look; a server that is away keeps the last one, under a line that says why."""
    try:
        last = fleet_table.frame(client.workers())
        live.update(last)
    except AWAY as exc:
        live.update(fleet_table.stale(last, str(exc)))
    return last


def _print_lines(client: Client, *, once: bool, every_s: float) -> None:
    click.echo(client.workers().model_dump_json())
    away: ClientError | None = None
    while not once:
        time.sleep(every_s)
        try:
            click.echo(client.workers().model_dump_json())
            away = None
        except AWAY as exc:
            if away is None:  # one line a time it is away
                click.echo(f"waiting: {exc}", err=True)
            away = exc
