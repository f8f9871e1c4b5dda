"""One child process: its log, its end, and everything it started itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from deploy.errors import ChildDied, NotReady
from deploy.processes import find_marked, is_running, kill_all

LEASH = Path(__file__).with_name("leash.py")
MARK = "STACK_CHILD"  # environment variable that a child hands on to all its descendants
TAIL_LINES = 25
MAX_LOG_BYTES = 20 * 2**20
PRIVATE_UMASK = 0o077


class Child:
    """A program in a process group of its own, writing to a log file.

    It gets `stop_signal` when the parent dies (Linux). Whatever it started is found by
    a mark in the environment, also after the child itself is gone and in other groups.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_path: Path,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_s: float = 10.0,
        private: bool = False,
        pass_fds: Sequence[int] = (),
        leaves: Sequence[Path] = (),
    ) -> None:
        """`stop_s`: how long it may take to end; `private`: its files are its owner's only;
        `leaves`: files to remove once it has ended."""
        self.name = name
        self.log_path = log_path
        self._command = command
        self._environment = environment
        self._cwd = cwd
        self._stop_signal = stop_signal
        self._stop_s = stop_s
        self._umask = PRIVATE_UMASK if private else -1
        self._pass_fds = tuple(pass_fds)
        self._leaves = leaves
        self._mark = ""
        self._log_start = 0
        self._asked = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid, which is the process group's id too; None before start and after stop."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it. Does not wait until it is of use: `wait_until` does."""
        if self._process is not None:
            raise RuntimeError(f"{self.name} was started already; stop it first")
        self._mark = uuid.uuid4().hex
        self._asked = False
        leash = [sys.executable, "-I", "-S", str(LEASH)]
        leash += [str(int(self._stop_signal)), str(os.getpid())]
        _cut(self.log_path)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [*leash, *self._command],
                env={**self._environment, MARK: self._mark},
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=self._umask,
                pass_fds=self._pass_fds,
            )

    def check(self) -> None:
        """Raises:
        ChildDied: it was started, nobody stopped it, and it does not run.
        """
        if self._process is not None and (code := self._process.poll()) is not None:
            raise ChildDied(self.name, returncode=code, log_tail=self.log_tail())

    def wait_until(self, probe: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Ask `probe` until it says yes.

        Raises:
            ChildDied: the child ended.
            NotReady: `timeout_s` went by; `what` was expected.
        """
        end = time.monotonic() + timeout_s
        pause_s = 0.02
        while not probe():
            self.check()
            if time.monotonic() > end:
                raise NotReady(
                    f"{self.name}: {what} did not happen within {timeout_s:.0f} s; "
                    f"the end of {self.log_path}:\n{self.log_tail()}"
                )
            time.sleep(pause_s)
            pause_s = min(0.2, pause_s * 1.5)
        self.check()

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines it wrote since its start."""
        try:
            with self.log_path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, size - 400 * lines))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def family(self) -> list[psutil.Process]:
        """The child and all its living descendants."""
        family = set(find_marked(MARK, self._mark)) if self._mark else set()
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                me = psutil.Process(self._process.pid)
                family.update([me, *me.children(recursive=True)])
        return [p for p in family if is_running(p)]

    def ask_to_stop(self) -> None:
        """Send the stop signal, once, and return; `stop` waits.

        Only once, because to many programs a second signal means: at once, by force.
        """
        if self._process is not None and self._process.poll() is None and not self._asked:
            self._asked = True
            self._process.send_signal(self._stop_signal)

    def stop(self) -> None:
        """End it and everything it started: politely, then after `stop_s` by force."""
        if self._process is None:
            return kill_all(self.family())
        family = self.family()
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._stop_s)
        kill_all(family)
        self._reap()

    def kill(self) -> None:
        """End it and everything it started by SIGKILL, as a crash would."""
        if self._process is None:
            return
        family = self.family()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        kill_all(family)
        self._reap()

    def _reap(self) -> None:
        assert self._process is not None
        kill_all(self.family())  # whatever was started while the others ended
        self._process.wait()
        self._process = None
        for path in self._leaves:
            path.unlink(missing_ok=True)


def _cut(log_path: Path) -> None:
    """Start a new log when the old one is large; one old one is kept."""
    with suppress(FileNotFoundError):
        if log_path.stat().st_size > MAX_LOG_BYTES:
            log_path.replace(log_path.with_suffix(log_path.suffix + ".1"))
