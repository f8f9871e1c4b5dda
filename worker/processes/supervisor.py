"""Supervise a worker per device and a coordinator: start, restart and stop them.

CUDA reads CUDA_VISIBLE_DEVICES once, so it is set here, before Python starts in the child.
This process never calls CUDA.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

import structlog

from worker.contract.lanes import COORDINATOR
from worker.observability.exporter import Life, MetricsAddress, SharedMetrics, serve_metrics
from worker.runtime.cpu import memory_environment, thread_environment
from worker.runtime.devices import Device
from worker.runtime.exit_codes import EXIT_CONFIG

log = structlog.get_logger(__name__)

SERVE = (sys.executable, "-m", "worker", "serve")
COORDINATE = (sys.executable, "-m", "worker", "coordinate")
STABLE_S = 60.0
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0
POLL_S = 0.2


def backoff_s(failures: int, *, first_s: float = FIRST_BACKOFF_S) -> float:
    """Pause before the next start after that many failures in a row."""
    return 0.0 if failures == 0 else min(MAX_BACKOFF_S, first_s * 2.0 ** (failures - 1))


class _Child:
    """A process that is started again when it dies."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        shared: SharedMetrics | None,
        first_backoff_s: float,
    ) -> None:
        self.name = name
        self._first_backoff_s = first_backoff_s
        self._shared = shared
        self._command = command
        self._environment = environment
        self.failures = 0
        self.deaths = 0
        self._start_at = time.monotonic()
        self._started_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def poll(self) -> int | None:
        """Start or restart when due. Returns EXIT_CONFIG if that is how the child ended."""
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self._start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        self.deaths += 1
        if self._shared is not None:
            self._shared.forget_gauges(self.name)
        if code == EXIT_CONFIG:
            return code
        lived_s = time.monotonic() - self._started_at
        self.failures = 1 if lived_s > STABLE_S else self.failures + 1
        pause_s = backoff_s(self.failures, first_s=self._first_backoff_s)
        self._start_at = time.monotonic() + pause_s
        log.error("process died", process=self.name, exit_code=code, restart_in_s=pause_s)
        return None

    def _start(self) -> None:
        environ = dict(self._environment)
        if self._shared is not None:
            environ |= self._shared.environment
        self.process = subprocess.Popen(self._command, env=environ)
        self._started_at = time.monotonic()

    @property
    def life(self) -> Life:
        return Life(self.name, up=self.process is not None, deaths=self.deaths)

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait_until(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def supervise(
    devices: Sequence[Device],
    *,
    drain_s: float,
    command: Sequence[str] = SERVE,
    metrics: MetricsAddress | None = None,
    first_backoff_s: float = FIRST_BACKOFF_S,
) -> int:
    """Run a coordinator and one worker per device until SIGTERM or SIGINT. Gives the exit code.

    `command` is one worker's, without its `--device`; `metrics` is where their numbers are
    served; `first_backoff_s` is the pause after a first failure, and doubles with each.

    Raises:
        SettingsInvalid: they cannot be served there.
    """
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    children: list[_Child] = []
    with serve_metrics(metrics, lambda: [child.life for child in children]) as shared:
        children += _children(devices, command, shared, first_backoff_s)
        code = 0
        while not stopping and code == 0:
            for child in children:
                code = child.poll() or code
            time.sleep(POLL_S)
        for child in children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + drain_s + 5.0
        for child in children:
            child.wait_until(deadline)
    return code


def _children(
    devices: Sequence[Device],
    command: Sequence[str],
    shared: SharedMetrics | None,
    first_backoff_s: float,
) -> list[_Child]:
    coordinator = _Child(
        COORDINATOR,
        COORDINATE,
        environment=_environment({}, visible=""),
        shared=shared,
        first_backoff_s=first_backoff_s,
    )
    return [coordinator] + [
        _Child(
            device.name,
            [*command, "--device", device.name],
            environment=_environment(memory_environment(), visible=device.visible_devices),
            shared=shared,
            first_backoff_s=first_backoff_s,
        )
        for device in devices
    ]


def _environment(own: Mapping[str, str], *, visible: str) -> Mapping[str, str]:
    """Of one process; an operator's OMP_* and GLIBC_TUNABLES win."""
    return {**thread_environment(), **own, **os.environ, "CUDA_VISIBLE_DEVICES": visible}
