"""Services, a front door and any number of sleeping workers, for jobs without images."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx

from deploy.child import Child
from deploy.stack import Stack
from guanwu.wire.base import new_id
from guanwu.wire.options import Options
from tests.sleeping.behaviour import Behaviour
from tests.support.new_record import new_record
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import JSONL, ObjectStore
from worker.contract.records.broker import make_app, send
from worker.contract.records.connection import connect
from worker.contract.records.job_record import JobRecord
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records

ROOT = Path(__file__).parents[2]
TENANT = "local"
LISTS = "lists"  # bucket of manifests
SETTINGS = {
    "GUANWU_S3_INPUT_BUCKETS": LISTS,
    "GUANWU_DRAIN_S": "5",
    "GUANWU_RATE_READ_PER_MIN": "",
    "GUANWU_RATE_SUBMIT_PER_MIN": "",
    "GUANWU_RATE_UPLOAD_PER_MIN": "",
}
SINGLE = ManifestItem(index=0, source="s3://lists/0.png").model_dump_json(exclude_none=True)
LABELS_ONLY: dict[str, object] = {"artifacts": ["labels"], "priority": "bulk"}
READY_S = 120.0
LOOK_S = 0.1


class Fleet:
    """Jobs in, counters out; the workers' images are sleeps."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self._folder = folder
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= {n: v for n, v in stack.environment.items() if n.startswith("AWS_")}
        self.redis = connect(stack.settings)
        self.records = Records(self.redis, stack.settings)
        self.store = ObjectStore(stack.settings)
        self._keys = RedisKeys(stack.settings.redis_prefix)
        self._broker = make_app(stack.settings)
        self._http = httpx.Client(base_url=stack.url, headers=stack.authorization, timeout=30)
        client = stack.seaweed.client()
        client.create_bucket(Bucket=LISTS)
        client.close()

    @contextmanager
    def workers(self, count: int, behaviour: Behaviour) -> Iterator[list[Child]]:
        """So many workers, all of them up."""
        crew = [self._worker(n, behaviour) for n in range(count)]
        with ExitStack() as opened:
            for child in crew:
                opened.callback(child.stop)
                child.start()
            for child in crew:
                child.wait_until(
                    partial(child_is_ready, child),
                    timeout_s=READY_S,
                    what="a worker that is ready",
                )
            yield crew
            for child in crew:
                child.ask_to_stop()

    def _worker(self, number: int, behaviour: Behaviour) -> Child:
        return Child(
            f"sleeper-{number}",
            [sys.executable, "-m", "tests.sleeping"],
            environment={**self.stack.environment, **behaviour.environment()},
            log_path=self._folder / f"sleeper-{number}.log",
            cwd=ROOT,
            stop_s=self.stack.settings.drain_s + 10,
        )

    def put_manifest(self, images: int) -> str:
        """A list of so many images in S3; its address."""
        line = '{{"custom_id": "image-{0:07d}", "image": {{"s3": "s3://lists/{0:07d}.png"}}}}\n'
        body = "".join(line.format(n) for n in range(images)).encode()
        client = self.stack.seaweed.client()
        client.put_object(Bucket=LISTS, Key=f"{images}.jsonl", Body=body)
        client.close()
        return f"s3://{LISTS}/{images}.jsonl"

    def submit(self, manifest: str) -> tuple[str, float]:
        """A job of a manifest, through the front door; its id, and how long the answer took, s."""
        return self.submit_source({"manifest": manifest}, options=LABELS_ONLY)

    def submit_source(
        self, source: dict[str, str], *, options: dict[str, object]
    ) -> tuple[str, float]:
        """The same of any source."""
        started_s = time.perf_counter()
        answer = self._http.post("/v1/jobs", json={**source, "options": options})
        spent_s = time.perf_counter() - started_s
        answer.raise_for_status()
        return str(answer.json()["id"]), spent_s

    def prepare_single(self) -> str:
        """What the front door puts into S3 before it records a job of one image; the job's id."""
        job = new_id("job")
        self.store.put(keys.manifest(TENANT, job, 0), SINGLE.encode(), content_type=JSONL)
        return job

    def submit_single(self, job: str) -> None:
        """Record a prepared job for the lane `hi` and wake a worker up, as the front door does."""
        self.records.jobs.create(
            new_record(
                job,
                tenant=TENANT,
                lane="hi",
                total=1,
                chunk_images=1,
                options=Options.model_validate(LABELS_ONLY),
                shard=SINGLE,
            )
        )
        send(self._broker, "hi")

    def ended(self, job: str) -> int:
        """Images of a job that have succeeded; others are a fault here."""
        counts = self._record(job).counts
        assert counts.failed == 0, counts
        return counts.succeeded

    def left(self, job: str) -> int:
        """Images of a job that still wait or run."""
        return self._record(job).left

    def wait_until_ended(self, job: str, images: int) -> None:
        while self.ended(job) < images:
            time.sleep(LOOK_S)

    def wait_until_done(self, job: str) -> None:
        while not self._record(job).status.done:
            time.sleep(LOOK_S)

    def wait_until_planned(self, job: str) -> None:
        while not self._record(job).sealed:
            time.sleep(LOOK_S)

    def done_among(self, jobs: list[str]) -> list[str]:
        """Those whose image is counted."""
        if not jobs:
            return []
        pipe = self.redis.pipeline(transaction=False)
        for job in jobs:
            pipe.hget(self._keys.job(job), "succeeded")
        return [job for job, n in zip(jobs, pipe.execute(), strict=True) if n == "1"]

    def _record(self, job: str) -> JobRecord:
        record = self.records.jobs.read(TENANT, job)
        assert record is not None
        return record

    def cancel(self, job: str) -> None:
        """End a job and wait for it."""
        self.records.jobs.cancel(TENANT, job)
        while not self._record(job).status.done:
            time.sleep(LOOK_S)

    def close(self) -> None:
        self._http.close()
        self._broker.close()
        self.redis.close()


class RedisMemory(threading.Thread):
    """Watches how much memory Redis uses, in MB, over the level at the start."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(name="memory", daemon=True)
        self._redis = fleet.stack.valkey.client()
        self._before_mb = self._used_mb()
        self._ended = threading.Event()
        self.peak_mb = 0.0
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self.peak_mb = max(self.peak_mb, self._used_mb() - self._before_mb)

    def stop(self) -> float:
        """The peak."""
        self._ended.set()
        self.join()
        self._redis.close()
        return self.peak_mb

    def _used_mb(self) -> float:
        return float(self._redis.info("memory")["used_memory"]) / 1e6


def child_is_ready(child: Child) -> bool:
    return "worker ready" in child.log_tail()


def cpu_s(workers: list[Child]) -> float:
    """Processor time of workers and supervisors so far."""
    times = [p.cpu_times() for child in workers for p in child.family()]
    return sum(t.user + t.system for t in times)


def redis_cpu_s(fleet: Fleet) -> float:
    """Processor time of Redis so far."""
    used = fleet.redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def redis_commands(fleet: Fleet) -> int:
    """Commands Redis has run so far, those inside scripts too."""
    return int(fleet.redis.info("stats")["total_commands_processed"])
