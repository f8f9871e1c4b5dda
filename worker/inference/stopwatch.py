"""Stage times of one image."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import cast

from worker.inference.batcher import BatchAnswer
from worker.observability.metrics import Stage, WorkerMetrics


class Stopwatch:
    """Milliseconds by stage of one image, which the metrics get, too."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self.ms: dict[str, float] = {}
        self._metrics = metrics

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        return self._metrics.stage(name, into=self.ms)

    def add_answer(self, answer: BatchAnswer) -> None:
        """Add the batcher's times: the wait for the batch, then one stage after the other."""
        at_ns = answer.began_ns
        self._add("wait", answer.wait_ms, ended_ns=at_ns)
        for stage, ms in answer.analysis.timing_ms.items():
            at_ns += round(ms * answer.images * 1e6)
            self._add(cast(Stage, stage), ms, ended_ns=at_ns, images=answer.images)

    def _add(self, name: Stage, ms: float, *, ended_ns: int, images: int = 1) -> None:
        self.ms[name] = ms
        self._metrics.record_stage(name, ms / 1000, ended_ns=ended_ns, lasted_s=ms * images / 1000)
