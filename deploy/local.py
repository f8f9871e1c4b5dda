"""`python -m deploy.local up`: all of Guanwu on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from deploy.errors import StackError
from deploy.stack import Stack
from worker.contract.errors import SettingsInvalid

WATCH_S = 0.3
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STATE = Path(".guanwu")


class StopRequested(BaseException):
    """Ctrl-C, or another request to end. Not an Exception: nothing may swallow it."""


@contextmanager
def stop_requests() -> Iterator[None]:
    """Inside, the first SIGINT, SIGTERM or SIGHUP raises StopRequested; later ones do nothing."""

    def on_signal(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise StopRequested

    before = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.group()
def main() -> None:
    """Guanwu on this machine."""


@main.command()
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True)
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: auto")
@click.option(
    "--port", type=click.IntRange(1024, 65535), help="of the front door; default: a free one"
)
def up(state: Path, device: str | None, port: int | None) -> None:
    """Start Valkey, SeaweedFS, the front door and the worker; end them all at Ctrl-C."""
    try:
        with stop_requests(), Stack(state, device=device, port=port, report=_say) as stack:
            _say(_welcome(stack))
            while True:
                stack.check()
                time.sleep(WATCH_S)
    except StopRequested:
        _say("stopped; nothing is left running")
    except (StackError, SettingsInvalid) as exc:
        click.echo(f"guanwu: {exc}", err=True)
        sys.exit(1)


def _say(message: str) -> None:
    click.echo(message)
    sys.stdout.flush()


def _welcome(stack: Stack) -> str:
    return (
        "\nGuanwu is up.\n"
        f"  URL           {stack.url}\n"
        f"  access token  {stack.token}\n"
        f"  data and logs {stack.directory}\n"
        "In another terminal, from this folder: guanwu submit PICTURE...\n"
        "Ctrl-C ends it."
    )


if __name__ == "__main__":
    main()
