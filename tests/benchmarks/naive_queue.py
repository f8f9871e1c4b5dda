"""The naive queue beside the product: Celery with prefork on the same Valkey and store."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from celery import Celery

from deploy.child import Child
from deploy.stack import Stack
from tests.benchmarks.caltech import folder

PROCESSES = 2
ANSWER_S = 300.0


class NaiveQueue:
    """Celery's worker with two processes; runs inside the `with` block.

    Args:
        database: of Valkey; the product's is 0.
        threads: of torch in each process; None leaves torch's own choice.
    """

    def __init__(
        self, stack: Stack, log_path: Path, *, database: int, threads: int | None = None
    ) -> None:
        url = f"{stack.redis_url.rpartition('/')[0]}/{database}"
        own = {"NAIVE_REDIS": url, "NAIVE_MODEL": str(folder())}
        own |= {} if threads is None else {"NAIVE_THREADS": str(threads)}
        self._app = Celery("naive", broker=url, backend=url)
        module = "tests.benchmarks.naive_app"
        command = [sys.executable, "-m", "celery", "-A", module, "worker", "--loglevel=WARNING"]
        self._child = Child(
            "naive",
            [*command, "--pool=prefork", f"--concurrency={PROCESSES}"],
            environment=stack.environment | own,
            log_path=log_path,
        )

    def __enter__(self) -> Self:
        self._child.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.stop()
        self._app.close()

    def per_s(self, bucket: str, keys: Sequence[str]) -> float:
        """Images per second, from the first task sent to the last result."""
        started_s = time.perf_counter()
        sent = [self._app.send_task("naive.explain", (bucket, key)) for key in keys]
        for result in sent:
            result.get(timeout=ANSWER_S)
        return len(keys) / (time.perf_counter() - started_s)
