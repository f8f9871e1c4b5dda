"""A thread that repeats one step until it is stopped."""

from __future__ import annotations

import threading


class PeriodicThread:
    """Calls `step` every `every_s`, first after that time, or at once.

    `step` catches its own errors: the thread would end. `stop` waits up to `stop_wait_s` for one
    that is under way; None is until it ends.
    """

    def __init__(
        self,
        name: str,
        *,
        every_s: float,
        at_once: bool = False,
        stop_wait_s: float | None = 0.0,
    ) -> None:
        self._stop_wait_s = stop_wait_s
        self._every_s = every_s
        self._stopped = threading.Event()
        self._due = threading.Event()
        if at_once:
            self._due.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._due.set()
        if self._stop_wait_s != 0.0:
            self._thread.join(self._stop_wait_s)

    def hurry(self) -> None:
        """Take the next step now. Any thread may call it."""
        self._due.set()

    def step(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        while True:
            self._due.wait(self._every_s)
            self._due.clear()
            if self._stopped.is_set():
                return
            self.step()
