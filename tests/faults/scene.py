"""Where a fault plays: services that may break, a front door, and sleeping workers."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from deploy.child import Child
from deploy.stack import Stack
from tests.api.requests import TOKEN, Answer, front_door
from tests.sleeping.behaviour import Behaviour
from tests.sleeping.pictures import picture
from tests.support.stack import SettingsFactory
from worker.contract.errors import RedisUnavailable
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.job_record import JobRecord
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.settings.model import Settings

ROOT = Path(__file__).parents[2]
TENANT = "local"
PATIENCE_S = 120.0  # a busy machine starts workers slowly
PAUSE_S = 0.05
WHOLE_CHUNKS = {"batch_images": 4, "batch_wait_ms": 1000}  # a chunk of 4 is one batch
LABELS_ONLY = {"artifacts": ["labels"], "priority": "bulk"}
QUICK = {
    "tokens": f"{TENANT}={TOKEN}",
    "lease_s": 1,
    "sweep_s": 0.2,
    "drain_s": 4,
    "chunk_images": 4,
    "max_images_per_request": 100_000,
    "max_request_bytes": 2**31,
    "log_level": "INFO",
}


class Scene:
    """One fault's own prefix and bucket on services that it may break.

    Attributes:
        stack: the services: `valkey` and `seaweed`, each with its `child`.
        environment: of programs that belong to the scene.
        door: calls to the front door, in this process.
        records, store, redis: the product's own views of the services.
        gate: a file; of workers started with it, no forward pass ends before `open_gate`.
    """

    def __init__(
        self,
        stack: Stack,
        factory: SettingsFactory,
        folder: Path,
        opened: ExitStack,
        **changes: Any,
    ) -> None:
        changes = QUICK | changes
        self.stack = stack
        self.settings: Settings = factory(**changes)
        self.environment = {**os.environ, **factory.environment(**changes)}
        self._folder = folder
        self._opened = opened
        self.ledger = folder / "ledger.jsonl"
        self.gate = folder / "gate"
        self.redis = connect(self.settings)
        self.records = Records(self.redis, self.settings)
        self.store = ObjectStore(self.settings)
        self.keys = RedisKeys(self.settings.redis_prefix)
        self.door = opened.enter_context(front_door(self.settings))
        opened.callback(self.redis.close)

    # --- jobs ------------------------------------------------------------------

    def submit(self, numbers: Sequence[int], **options: Any) -> str:
        """A job of pictures with these numbers, through the front door; its id."""
        answer = self.try_submit(numbers, **options)
        assert answer.status_code == 202, answer.text
        return str(answer.json["id"])

    def try_submit(self, numbers: Sequence[int], **options: Any) -> Answer:
        files = [(f"{n}.png", picture(n)) for n in numbers]
        return self.door.submit_form(files, options=LABELS_ONLY | options)

    def record(self, job: str) -> JobRecord:
        record = self.records.jobs.read(TENANT, job)
        assert record is not None, f"Redis does not know {job}"
        return record

    def wait_until(
        self, condition: Callable[[], bool], *, what: str, timeout_s: float = PATIENCE_S
    ) -> None:
        """Until `condition` holds; while Redis is away it does not."""
        end_s = time.monotonic() + timeout_s
        while True:
            with suppress(RedisUnavailable):
                if condition():
                    return
            assert time.monotonic() < end_s, f"not within {timeout_s:.0f} s: {what}"
            time.sleep(PAUSE_S)

    def wait_until_ended(self, job: str, images: int, *, timeout_s: float = PATIENCE_S) -> None:
        """Until so many images of the job have ended, in whatever way."""
        self.wait_until(
            lambda: (record := self.record(job)).counts.total - record.left >= images,
            what=f"{images} images done",
            timeout_s=timeout_s,
        )

    def wait_until_done(self, job: str, *, timeout_s: float = PATIENCE_S) -> JobRecord:
        """Until the job is in a final state."""
        self.wait_until(
            lambda: self.record(job).status.done,
            what=f"{job} done",
            timeout_s=timeout_s,
        )
        return self.record(job)

    # --- workers ---------------------------------------------------------------

    def start_worker(
        self, *, environment: Mapping[str, str] | None = None, **behaviour: Any
    ) -> Child:
        """A supervisor with one sleeping worker; `environment` is of this worker alone."""
        told = Behaviour(ledger=self.ledger, **behaviour).environment()
        number = len(list(self._folder.glob("worker-*.log")))
        child = Child(
            f"worker-{number}",
            [sys.executable, "-m", "tests.sleeping"],
            environment={**self.environment, **told, **(environment or {})},
            log_path=self._folder / f"worker-{number}.log",
            cwd=ROOT,
            stop_s=self.settings.drain_s + 10,
        )
        self._opened.callback(child.kill)  # a test that means its end well stops it itself
        child.start()
        return child

    def batches(self) -> list[list[int]]:
        """The numbers of every forward pass that began, of all workers."""
        if not self.ledger.exists():
            return []
        return [json.loads(line)["batch"] for line in self.ledger.read_text().splitlines()]

    def open_gate(self) -> None:
        self.gate.touch()

    def wait_for_batch(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Until some model has begun to work."""
        self.wait_until(lambda: bool(self.batches()), what="a forward pass", timeout_s=timeout_s)


def serving(worker: Child) -> psutil.Process:
    """The worker's own process, below its supervisor."""
    (process,) = [p for p in worker.family() if "serve" in p.cmdline()]
    return process


@contextmanager
def paused(child: Child) -> Iterator[None]:
    """The child exists, but does nothing."""
    family = child.family()
    for process in family:
        process.send_signal(signal.SIGSTOP)
    yield
    for process in family:
        process.send_signal(signal.SIGCONT)
