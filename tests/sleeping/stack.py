"""A stack whose worker's model sleeps: all of Guanwu but the networks, at a tenth of the price."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.child import Child
from deploy.stack import Stack
from tests.sleeping.behaviour import Behaviour

ROOT = Path(__file__).parents[2]
MARGIN_S = 10.0


class SleepingStack(Stack):
    """Its forward pass takes a millisecond.

    Example:
        with running_stack(kind=SleepingStack, settings=CPU_SETTINGS) as stack:
    """

    def __init__(
        self, directory: Path, *, settings: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        asleep = Behaviour(batch_ms=1).environment()
        super().__init__(directory, settings={**asleep, **(settings or {})}, **options, workers=0)

    def _start_programs(self) -> None:
        super()._start_programs()
        child = Child(
            "worker",
            [sys.executable, "-m", "tests.sleeping"],
            environment=self.environment,
            log_path=self._state.logs / "worker.log",
            cwd=ROOT,
            stop_s=self.settings.drain_s + MARGIN_S,
        )
        self.workers.append(child)
        child.start()
        self.wait()
