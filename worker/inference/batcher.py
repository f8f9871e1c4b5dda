"""Dynamic batching in front of one engine: one thread owns the model.

Images of all chunks meet here. A batch holds images that want the same analysis; lane
`hi` goes first and is filled up from `bulk`. A batch leaves when it is full, when its oldest
image has waited `wait_ms`, or with the first that comes alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from guanwu.wire.base import Lane
from guanwu.wire.options import Options
from worker.contract.errors import GuanwuError, ServiceUnavailable
from worker.contract.lanes import LANES
from worker.inference.answer_cache import AnswerCache, Key
from worker.observability.metrics import WorkerMetrics
from worker.vision.analysis import Analysis, Prepared

log = structlog.get_logger(__name__)


class Analyzer(Protocol):
    """The engine's part in a batch."""

    def analyze(
        self, batch: Sequence[Prepared], options: Options
    ) -> Sequence[Analysis | GuanwuError]: ...


@dataclass(frozen=True)
class BatchAnswer:
    """An image's analysis, how long it waited for its batch, and whether it was known.

    Attributes:
        began_ns: when its batch of so many `images` began, in nanoseconds since 1970.
    """

    analysis: Analysis
    wait_ms: float
    known: bool = False
    began_ns: int = 0
    images: int = 1


@dataclass(eq=False)
class _Waiting:
    prepared: Prepared
    options: Options
    since: float
    wanted: Callable[[], bool]
    key: Key
    alone: bool
    future: Future[BatchAnswer] = field(default_factory=Future)


class Batcher:
    """Collects prepared images into batches and runs them on the model thread.

    What is `known` is answered at once, without the model.
    """

    def __init__(
        self,
        engine: Analyzer,
        *,
        batch_images: int,
        wait_ms: float,
        known: AnswerCache | None = None,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._engine = engine
        self._metrics = metrics or WorkerMetrics()
        self._known = known
        self._batch_images = batch_images
        self._wait_s = wait_ms / 1000
        self._waiting: dict[Lane, dict[str, deque[_Waiting]]] = {lane: {} for lane in LANES}
        self._changed = threading.Condition()
        self._closed = False
        self._started: float | None = None
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(
        self,
        prepared: Prepared,
        options: Options,
        *,
        lane: Lane,
        tenant: str = "",
        wanted: Callable[[], bool] = lambda: True,
        alone: bool = False,
    ) -> Future[BatchAnswer]:
        """Hand in one image. Its future is cancelled if it is not `wanted` when its turn comes.

        With one that comes `alone` no others of its job are on their way: while the model is idle
        it waits for none.
        """
        key = (tenant, prepared.sha256, prepared.question(options))
        waiting = _Waiting(prepared, options, time.perf_counter(), wanted, key, alone)
        if (analysis := self._find_known(waiting)) is not None:
            waiting.future.set_result(BatchAnswer(analysis, wait_ms=0.0, known=True))
            return waiting.future
        with self._changed:
            if self._closed:
                raise ServiceUnavailable("this worker is shutting down")
            queue = self._waiting[lane].setdefault(key[-1], deque())
            queue.append(waiting)
            self._changed.notify()
        return waiting.future

    def running_s(self) -> float:
        """Seconds that the current batch has been on the model; 0 between batches."""
        started = self._started
        return 0.0 if started is None else time.perf_counter() - started

    def stop(self) -> None:
        """Finish what was handed in, then stop the model thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _find_known(self, waiting: _Waiting) -> Analysis | None:
        """The known answer, where one may be taken."""
        if self._known is None or not waiting.options.cache:
            return None
        return self._known.find(waiting.key)

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            for waiting in batch:
                if not waiting.wanted():
                    waiting.future.cancel()
            running = [w for w in batch if w.future.set_running_or_notify_cancel()]
            if running:
                self._analyze(running)

    def _next_batch(self) -> list[_Waiting] | None:
        with self._changed:
            while (key := self._oldest_key()) is None:
                if self._closed:
                    return None
                self._changed.wait()
            while not self._closed and self._count(key) < self._batch_images:
                left_s = self._leaves_at(key) - time.perf_counter()
                if left_s <= 0 or not self._changed.wait(left_s):
                    break
                key = self._oldest_key() or key
            return self._take(key)

    def _oldest_key(self) -> str | None:
        for lane in LANES:
            queues = self._waiting[lane]
            if queues:
                return min(queues, key=lambda k: queues[k][0].since)
        return None

    def _count(self, key: str) -> int:
        return sum(len(self._waiting[lane].get(key, ())) for lane in LANES)

    def _leaves_at(self, key: str) -> float:
        """When the next batch of this kind stops waiting for company."""
        waiting = [w for queues in self._waiting.values() for w in queues.get(key, ())]
        return min(w.since + (0.0 if w.alone else self._wait_s) for w in waiting)

    def _take(self, key: str) -> list[_Waiting]:
        batch: list[_Waiting] = []
        for lane in LANES:
            queue = self._waiting[lane].get(key)
            while queue and len(batch) < self._batch_images:
                batch.append(queue.popleft())
            if queue is not None and not queue:
                del self._waiting[lane][key]
        return batch

    def _analyze(self, batch: Sequence[_Waiting]) -> None:
        self._started = started = time.perf_counter()
        began_ns = time.time_ns()
        started_cpu_s = time.thread_time()
        try:
            answers = self._engine.analyze([w.prepared for w in batch], batch[0].options)
        except Exception as exc:
            log.exception("the engine failed", images=len(batch))
            for waiting in batch:
                waiting.future.set_exception(exc)
            return
        finally:
            self._started = None
            self._measure(batch, started, started_cpu_s)
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, GuanwuError):
                waiting.future.set_exception(answer)
            else:
                if self._known is not None and waiting.options.cache:
                    self._known.keep(waiting.key, answer)
                wait_ms = (started - waiting.since) * 1000
                batch_answer = BatchAnswer(answer, wait_ms, began_ns=began_ns, images=len(batch))
                waiting.future.set_result(batch_answer)

    def _measure(self, batch: Sequence[_Waiting], started_s: float, started_cpu_s: float) -> None:
        self._metrics.stage_cpu_s.labels("model").inc(time.thread_time() - started_cpu_s)
        self._metrics.batch_s.observe(time.perf_counter() - started_s)
        self._metrics.batch_images.observe(len(batch))
