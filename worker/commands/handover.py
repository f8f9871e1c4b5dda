"""Commands of `guanwu` that become `python -m worker`.

They are entry points of the group `guanwu.commands`. The new interpreter leaves the working
directory out of `sys.path`, so that no file there is taken for one of ours.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence

import click

NEEDED = ("torch", "transformers", "numpy", "cv2")
REMEDY = 'this command needs the worker\'s packages: pip install "guanwu-server[worker]"'


def missing_packages() -> list[str]:
    """Packages the worker needs that are not installed. Imports none of them."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def become_worker(words: Sequence[str]) -> None:
    """Replace this process by `python -m worker WORDS`."""
    sys.stdout.flush()
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}  # for the processes that it starts, too
    os.execve(sys.executable, [sys.executable, "-P", "-m", "worker", *words], environment)


def _handover(*words: str, help: str, runs_models: bool = True) -> click.Command:
    """A command that hands its arguments over; help and options are those of the worker's."""

    @click.command(
        words[-1],
        help=help,
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
        add_help_option=False,
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: Sequence[str]) -> None:
        missing = missing_packages() if runs_models else []
        if missing:
            raise click.ClickException(f"{REMEDY} (missing: {', '.join(missing)})")
        become_worker([*words, *arguments])

    return command


admin = _handover("admin", help="Administer a server.", runs_models=False)
doctor = _handover("doctor", help="Check a deployment from here.", runs_models=False)
worker = _handover("run", help="Run a worker on this machine.")
fetch_models = _handover("models", "fetch", help="Fetch models to this machine.")
list_models = _handover("models", "list", help="List the models of this machine.")
check_models = _handover("models", "check", help="Run models of this machine once.")
calibrate_models = _handover("models", "calibrate", help="Fit scores and verdicts.")
