"""`guanwu top`: the workers, looked at again and again."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.live import Live

from api.client import fleet_view
from api.client.client import Client
from api.client.display import PLAIN_WIDTH


def top(client: Client, *, once: bool, every_s: float, as_json: bool) -> int:
    """Until Ctrl-C, or one look."""
    if as_json:
        while True:
            click.echo(client.workers().model_dump_json())
            if once:
                return 0
            time.sleep(every_s)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    if once:
        console.print(fleet_view.frame(client.workers()))
        return 0
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            live.update(fleet_view.frame(client.workers()), refresh=True)
            time.sleep(every_s)
