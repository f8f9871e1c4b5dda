"""Services that may break, and scenes on them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.stack import Stack
from tests.faults.scene import Scene
from tests.support.stack import Bucket, SettingsFactory, ready_bucket, running_stack

MakeScene = Callable[..., Scene]
BUCKETS = 8


class SpareBuckets:
    """Empty buckets, made together while nothing is broken: the first object of a new one waits
    for a volume, a second on a busy machine."""

    def __init__(self, stack: Stack) -> None:
        self._endpoint = stack.s3_endpoint
        self._client = stack.seaweed.client()
        self._spare: list[Bucket] = []

    def take(self) -> Bucket:
        if not self._spare:
            with ThreadPoolExecutor(BUCKETS) as pool:
                making = [
                    pool.submit(ready_bucket, self._client, self._endpoint) for _ in range(BUCKETS)
                ]
            self._spare = [bucket.result() for bucket in making]
        return self._spare.pop()

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="session")
def all_breakable() -> Iterator[Stack]:
    with running_stack(api=False, workers=0) as stack:
        yield stack


@pytest.fixture(scope="session")
def spare_buckets(all_breakable: Stack) -> Iterator[SpareBuckets]:
    buckets = SpareBuckets(all_breakable)
    yield buckets
    buckets.close()


@pytest.fixture
def breakable(all_breakable: Stack) -> Iterator[Stack]:
    """Valkey and SeaweedFS that a test may break; they are repaired after it."""
    yield all_breakable
    repair(all_breakable)


@pytest.fixture
def scene(
    breakable: Stack,
    spare_buckets: SpareBuckets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeScene]:
    """Makes a scene with settings of its own: `scene(lease_s=0.5)`. Ends its workers."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.setenv(name, breakable.environment[name])
    bucket = spare_buckets.take()
    with ExitStack() as opened:

        def make(**changes: object) -> Scene:
            factory = SettingsFactory(
                redis_url=breakable.redis_url,
                redis_prefix=f"fault-{uuid.uuid4().hex[:12]}",
                bucket=bucket,
            )
            return Scene(breakable, factory, tmp_path, opened, **changes)

        yield make


def repair(stack: Stack) -> None:
    """Both services run, go on, and have room."""
    for service in (stack.valkey, stack.seaweed):
        if not service.child.alive:
            service.child.stop()
            service.start()
    stack.valkey.wait()
    stack.seaweed.wait(bucket=stack.settings.s3_bucket)
    with stack.valkey.client() as client:
        client.config_set("maxmemory", 0)
        client.flushall()
