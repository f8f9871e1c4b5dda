"""The `guanwu` command as tests run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from guanwu.cli import main

Run = subprocess.CompletedProcess[str]
COMMAND = (sys.executable, "-m", "guanwu.cli")


class Guanwu:
    """The command in a folder of its own: in this process, because an interpreter takes longer
    than most of what it is asked for; `process` starts one."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def __call__(self, *arguments: object, env: dict[str, str] | None = None) -> Run:
        words = [str(argument) for argument in arguments]
        found = self._environment if env is None else env
        absent = dict.fromkeys(os.environ.keys() - found.keys())
        with capture_logs(), pytest.MonkeyPatch.context() as patch:  # the front door's, in here too
            patch.chdir(self._folder)
            with CliRunner().isolation(env={**absent, **found}) as (out, err, _):
                try:
                    code = main.run(words)
                except SystemExit as exc:
                    code = int(exc.code or 0)
        return Run(words, code, out.getvalue().decode(), err.getvalue().decode())

    def process(self, *arguments: object, env: dict[str, str] | None = None) -> Run:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=self._environment if env is None else env,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
