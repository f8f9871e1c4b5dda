"""Settings and error reports of all commands of `python -m worker`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from worker.contract.errors import GuanwuError, SettingsInvalid
from worker.contract.settings.environment import load
from worker.contract.settings.model import Settings
from worker.contract.telemetry import logs
from worker.runtime.exit_codes import EXIT_CONFIG


@contextlib.contextmanager
def report_errors() -> Iterator[None]:
    """Guanwu's errors become one line and an exit code."""
    try:
        yield
    except GuanwuError as exc:
        click.echo(f"{exc.code}: {exc.message}", err=True)
        sys.exit(1 if exc.retryable else EXIT_CONFIG)


def settings_or_exit() -> Settings:
    try:
        settings = load()
    except SettingsInvalid as exc:
        click.echo(f"{exc.code}: {exc.message}", err=True)
        sys.exit(EXIT_CONFIG)
    logs.configure(settings.log_level)
    return settings
