"""Recovery of deliveries that Redis has lost, from the outbox in S3."""

from __future__ import annotations

from collections.abc import Callable

from worker.contract.errors import GuanwuError
from worker.runtime.periodic import Rounds
from worker.webhooks.delivery import log


class Mender(Rounds):
    """A thread of every coordinator; one at a time looks for deliveries that Redis has lost."""

    def __init__(self, take_turn: Callable[[], bool], mend: Callable[[], int], *, look_s: float):
        super().__init__("mender", every_s=look_s)
        self._take_turn = take_turn
        self._mend = mend

    def round(self) -> None:
        try:
            if self._take_turn():
                self._mend()
        except GuanwuError as exc:
            log.warning("mending of deliveries waits", error=exc.message)
        except Exception:
            log.exception("mending of deliveries failed")
