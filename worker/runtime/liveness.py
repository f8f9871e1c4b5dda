"""Liveness files for health checks: each process of a worker touches its own.

The supervisor creates the files of all its processes with an old time, so that a probe sees a
process that has not started, or is gone, as well as one that is stuck. It needs no Python:

    test -n "$(ls DIR)" && test -z "$(find DIR -type f -mmin +0.5)"
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from worker.contract.lanes import COORDINATOR
from worker.runtime.watchdog import Check

_NAMES = re.compile(rf"{COORDINATOR}|cpu|cuda:\d+")


def expect(folder: str | None, names: Iterable[str]) -> None:
    """Lay the files of all processes, from long ago. Those of an earlier life go."""
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path in Path(folder).iterdir():
        if _NAMES.fullmatch(path.name):  # and nothing else, should the setting be wrong
            path.unlink()
    for name in names:
        path = Path(folder, name)
        path.touch()
        os.utime(path, (0, 0))


def touching(folder: str | None, name: str) -> list[Check]:
    """A check that finds nothing wrong, and leaves a sign whenever the watchdog asks it."""
    if folder is None:
        return []
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)

    def check() -> None:
        path.touch()

    return [check]
