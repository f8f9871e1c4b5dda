"""Recovery of deliveries that Redis has lost, from the outbox in S3."""

from __future__ import annotations

from collections.abc import Callable

from worker.contract.errors import GuanwuError
from worker.runtime.periodic import PeriodicThread
from worker.webhooks.delivery import log


class OutboxRecovery(PeriodicThread):
    """A thread of every coordinator; one at a time restores deliveries that Redis has lost."""

    def __init__(
        self, take_turn: Callable[[], bool], restore: Callable[[], int], *, look_s: float
    ) -> None:
        super().__init__("outbox-recovery", every_s=look_s)
        self._take_turn = take_turn
        self._restore = restore

    def step(self) -> None:
        try:
            if self._take_turn():
                self._restore()
        except GuanwuError as exc:
            log.warning("mending of deliveries waits", error=exc.message)
        except Exception:
            log.exception("mending of deliveries failed")
