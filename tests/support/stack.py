"""Real services for tests: one Valkey and one SeaweedFS a test process, and what checks the end.

Every test owns a Redis prefix and a bucket, so tests of one process do not meet. Without
the service programs such tests fail in CI and are skipped elsewhere.
"""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from deploy.errors import ServiceMissing
from deploy.processes import find_marked, kill_all
from deploy.stack import Stack
from tests.support import layers
from worker.contract.settings.environment import load
from worker.contract.settings.model import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

INPUT_BUCKET = "pictures"  # whose objects jobs may name; a test that needs it makes it
BUCKETS_AHEAD = 4
SESSION_MARK = "TEST_PROCESS"  # in the environment of all that this test process starts
CPU_SETTINGS = {
    "GUANWU_CACHE_MB": "0",  # tests share pictures, and ask the model
    "GUANWU_DEVICE": "cpu",
    "GUANWU_DRAIN_S": "5",
    "GUANWU_S3_INPUT_BUCKETS": INPUT_BUCKET,
    "GUANWU_TORCH_THREADS": "1",  # see use_one_thread
}


StartStack = Callable[..., AbstractContextManager[Stack]]
"""`running_stack`, as the fixture `own_stack` gives it."""


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of the real S3 server, and a client that may do everything there."""

    name: str
    endpoint: str
    client: S3Client


class SettingsFactory:
    """Settings of one test: the real services, its own prefix and bucket.

    Example:
        def test_lease(settings):
            records = Records(connect(settings()), settings(lease_s=0.5))
    """

    def __init__(self, *, redis_url: str, redis_prefix: str, bucket: Bucket) -> None:
        self._own = {
            "GUANWU_REDIS_URL": redis_url,
            "GUANWU_REDIS_PREFIX": redis_prefix,
            "GUANWU_S3_ENDPOINT": bucket.endpoint,
            "GUANWU_S3_BUCKET": bucket.name,
            "GUANWU_TOKENS": "local=token-of-the-test",
            "GUANWU_DTYPE": "float32",  # the same numbers on every machine
        }

    def environment(self, **changes: object) -> dict[str, str]:
        """GUANWU_* variables for a child process; `lease_s=1` becomes GUANWU_LEASE_S=1."""
        return self._own | {f"GUANWU_{k.upper()}": str(v) for k, v in changes.items()}

    def __call__(self, **changes: object) -> Settings:
        return load(self.environment(**changes))


@contextmanager
def running_stack(*, kind: type[Stack] = Stack, **options: Any) -> Iterator[Stack]:
    """A stack in a directory that is gone afterwards; `options` are those of `Stack`.

    Where the service programs are not installed the test is skipped; in CI it fails.
    """
    programs = options.get("api", True) or options.get("workers", 1)
    layers.require("acceptance" if programs else "integration")
    with TemporaryDirectory(prefix="guanwu-test-") as directory, ExitStack() as opened:
        try:
            stack = opened.enter_context(kind(Path(directory), **options))
        except ServiceMissing as exc:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(exc))
        yield stack


class Buckets:
    """Empty buckets of one S3 server, made ahead, because the first object of a new one waits for
    a volume: 0.2 s here, a second on a busy machine.

    All share a client: making one costs more than a bucket does.
    """

    def __init__(self, stack: Stack) -> None:
        self._client = stack.seaweed.client()
        self._endpoint = stack.s3_endpoint
        self._threads = ThreadPoolExecutor(BUCKETS_AHEAD, thread_name_prefix="buckets")
        self._ahead: deque[Future[Bucket]] = deque()

    def take(self) -> Bucket:
        """A bucket that nobody else has."""
        while len(self._ahead) <= BUCKETS_AHEAD:
            self._ahead.append(self._threads.submit(ready_bucket, self._client, self._endpoint))
        return self._ahead.popleft().result()

    def drop(self, bucket: Bucket) -> None:
        self._client.delete_bucket(Bucket=bucket.name)  # SeaweedFS takes the objects with it

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()


def empty_bucket(stack: Stack) -> Bucket:
    """A bucket of a stack that a test keeps for itself."""
    return _new_bucket(stack.seaweed.client(), stack.s3_endpoint)


def ready_bucket(client: S3Client, endpoint: str) -> Bucket:
    """A new bucket that has its volume, and takes the first object as fast as the next."""
    bucket = _new_bucket(client, endpoint)
    client.put_object(Bucket=bucket.name, Key="first", Body=b"not empty: it needs a volume")
    client.delete_object(Bucket=bucket.name, Key="first")
    return bucket


def _new_bucket(client: S3Client, endpoint: str) -> Bucket:
    name = f"test-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return Bucket(name=name, endpoint=endpoint, client=client)


def read_botocore_once() -> None:
    """All S3 clients of this process share botocore's descriptions of services: each would read
    1.4 MB of JSON, which takes longer than most tests."""
    botocore.session.create_loader = cache(botocore.session.create_loader)


def use_one_thread() -> None:
    """Torch here and in the test processes computes on one thread: two processes of two threads
    each on two processors spin for each other, and take ten times the time. Before torch is loaded.
    """
    os.environ["OMP_NUM_THREADS"] = "1"


def mark_this_process() -> None:
    """From here on, whatever this process starts can be told from everything else."""
    os.environ[SESSION_MARK] = uuid.uuid4().hex


def end_survivors() -> list[str]:
    """End what this process started and did not stop; returns their command lines."""
    survivors = [
        p for p in find_marked(SESSION_MARK, os.environ[SESSION_MARK]) if p.pid != os.getpid()
    ]
    named = [f"{p.pid}: {' '.join(p.cmdline())}" for p in survivors]
    kill_all(survivors)
    return named
