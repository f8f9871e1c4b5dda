"""Processes of this user: found by a mark in their environment, ended by force."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

import psutil


def find_marked(variable: str, value: str) -> list[psutil.Process]:
    """Our user's processes that have this variable in the environment they began with."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(variable) == value and is_running(process):
                processes.append(process)
    return processes


def kill_all(processes: Iterable[psutil.Process], *, timeout_s: float = 10.0) -> None:
    """SIGKILL those that still run, and wait until none does (zombies do not)."""
    alive = [p for p in processes if is_running(p)]
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    end = time.monotonic() + timeout_s
    while any(is_running(p) for p in alive) and time.monotonic() < end:
        time.sleep(0.01)


def is_running(process: psutil.Process) -> bool:
    """True unless it has ended, reaped or not, or its pid is another's by now."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
