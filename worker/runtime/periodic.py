"""A thread that does its round again and again, until it is stopped."""

from __future__ import annotations

import threading


class Rounds:
    """Calls `round` every `every_s`, first after that time. `stop` does not wait for one that
    is under way. What a round raises is its own to catch: the thread would end."""

    def __init__(self, name: str, *, every_s: float) -> None:
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def round(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.round()
