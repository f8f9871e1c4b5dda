"""Services that may break, and scenes on them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.stack import Stack
from tests.faults.scene import Scene
from tests.stack import SettingsFactory, empty_bucket, running_stack

MakeScene = Callable[..., Scene]


@pytest.fixture(scope="session")
def all_breakable() -> Iterator[Stack]:
    with running_stack(api=False, workers=0) as stack:
        yield stack


@pytest.fixture
def breakable(all_breakable: Stack) -> Iterator[Stack]:
    """Valkey and SeaweedFS that a test may break; they are repaired after it."""
    yield all_breakable
    repair(all_breakable)


@pytest.fixture
def scene(breakable: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeScene]:
    """Makes a scene with settings of its own: `scene(lease_s=0.5)`. Ends its workers."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.setenv(name, breakable.environment[name])
    bucket = empty_bucket(breakable)
    with ExitStack() as opened:

        def make(**changes: object) -> Scene:
            factory = SettingsFactory(
                redis_url=breakable.redis_url,
                redis_prefix=f"fault-{uuid.uuid4().hex[:12]}",
                bucket=bucket,
            )
            return Scene(breakable, factory, tmp_path, opened, **changes)

        yield make
    bucket.client.close()


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
