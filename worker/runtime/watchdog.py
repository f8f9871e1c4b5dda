"""Watchdog: end a process that is stuck, too large, or on a broken device.

A supervisor starts a fresh one; what was claimed comes back when the leases run out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from worker.runtime.periodic import PeriodicThread

log = structlog.get_logger(__name__)

WATCH_S = 1.0


@dataclass(frozen=True)
class LeaveReason:
    """Why to leave. `at_once`: nothing that runs can end well, so it is not waited for."""

    why: str
    at_once: bool = False


Check = Callable[[], LeaveReason | None]


class Watchdog(PeriodicThread):
    """Runs its checks once a second; the first reason ends the process through `leave`."""

    def __init__(self, checks: Sequence[Check], leave: Callable[[LeaveReason], None]) -> None:
        super().__init__("watchdog", every_s=WATCH_S)
        self._checks = checks
        self._leave = leave

    def step(self) -> None:
        for check in self._checks:
            try:
                reason = check()
            except Exception:
                log.exception("a watchdog check failed")
                continue
            if reason is not None:
                self.stop()
                return self._leave(reason)


def forward_stuck(running_s: Callable[[], float], *, limit_s: float) -> Check:
    """One forward pass takes longer than `limit_s`: no thread can end it but the process's end."""

    def check() -> LeaveReason | None:
        if (spent_s := running_s()) <= limit_s:
            return None
        return LeaveReason(f"a batch has been on the model for {spent_s:.0f} s", at_once=True)

    return check


def idle_beside_work(
    idle_s: Callable[[], float], is_work_ready: Callable[[], bool], *, limit_s: float
) -> Check:
    """Chunks are ready, and this worker has claimed nothing for `limit_s`."""

    def check() -> LeaveReason | None:
        if (spent_s := idle_s()) <= limit_s or not is_work_ready():
            return None
        return LeaveReason(f"work is ready, but nothing was claimed for {spent_s:.0f} s")

    return check


def too_large(used_mb: Callable[[], float], *, limit_mb: float) -> Check:
    """The process holds more memory than it may."""

    def check() -> LeaveReason | None:
        if (used := used_mb()) <= limit_mb:
            return None
        return LeaveReason(f"{used:.0f} MB of memory are more than {limit_mb:.0f} MB")

    return check


def device_broken(fault: Callable[[], str | None]) -> Check:
    """The device gave an error after which it answers nothing right: a sticky CUDA error."""

    def check() -> LeaveReason | None:
        error = fault()
        return None if error is None else LeaveReason(f"the device is broken: {error}")

    return check
