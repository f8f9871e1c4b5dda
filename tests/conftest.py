"""Fixtures with real services, and the rules of the whole run.

- No process outlives the run: one that does is ended and fails it.
- With CI_NO_SKIP=1 a skipped test fails the run.
- Tests that share the full stack run in one process (`--dist=loadgroup`).
"""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.ports import keep_or_choose
from deploy.stack import Stack
from deploy.valkey import Valkey
from tests.support import layers
from tests.support.stack import (
    CPU_SETTINGS,
    Bucket,
    Buckets,
    SettingsFactory,
    StartStack,
    end_survivors,
    mark_this_process,
    read_botocore_once,
    running_stack,
    use_one_thread,
)

SURVIVORS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data that tests share, from TEST_DATA or beside the project."""
    return Path(os.environ.get("TEST_DATA", Path(__file__).parents[2] / "shared")).resolve()


@pytest.fixture(scope="session")
def services() -> Iterator[Stack]:
    """A stack of the two services alone: Valkey and SeaweedFS."""
    with running_stack(api=False, workers=0) as stack:
        yield stack


@pytest.fixture
def own_services() -> None:
    """Said by tests that start and end services of their own."""


@pytest.fixture
def own_stack() -> StartStack:
    """Starts a stack of this test's own: `with own_stack(workers=1) as stack`."""
    return running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The full stack with one worker on the CPU, shared by all tests that take it."""
    with running_stack(settings=CPU_SETTINGS) as stack:
        yield stack


@pytest.fixture(scope="session")
def seer_stack(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Stack]:
    """A stack whose default model, `seer`, knows 101 kinds of things; `reader` reads text.

    Tests of label sets share it. One kills its worker, whose chunks are soon taken over.
    """
    import torch

    from tests.worker.vision.models.tiny import clip  # takes seconds

    torch.manual_seed(7)
    reader = clip.clip(tmp_path_factory.mktemp("models") / "clip")
    seer = shared_data / "models" / "vit-s14-caltech101"
    own = {
        "GUANWU_MODELS": f"reader=path:{reader},seer=path:{seer}",
        "GUANWU_DEFAULT_MODELS": "seer",
        "GUANWU_DTYPE": "float32",
        "GUANWU_LEASE_S": "2",
    }
    with running_stack(settings={**CPU_SETTINGS, **own}) as stack:
        yield stack


@pytest.fixture
def redis_url(services: Stack) -> str:
    """A real Valkey. Keep to keys under `redis_prefix`."""
    return services.redis_url


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that a test may set up as badly as it likes."""
    valkey = Valkey(
        tmp_path / "valkey",
        log_path=tmp_path / "valkey.log",
        port=keep_or_choose(None),
        password="of-the-test",
        pass_fds=[],
    )
    valkey.start()
    valkey.wait()
    yield valkey
    valkey.child.stop()


@pytest.fixture
def redis_prefix(services: Stack) -> Iterator[str]:
    """A prefix of this test's own; its keys are gone afterwards."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    yield prefix
    with services.valkey.client() as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture(scope="session")
def buckets(services: Stack) -> Iterator[Buckets]:
    buckets = Buckets(services)
    yield buckets
    buckets.close()


@pytest.fixture
def s3(services: Stack, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket of a real S3 server; AWS_* variables name its credentials."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.setenv(name, services.environment[name])
    bucket = buckets.take()
    yield bucket
    buckets.drop(bucket)


@pytest.fixture
def settings(redis_url: str, redis_prefix: str, s3: Bucket) -> SettingsFactory:
    """Makes settings with this test's own prefix and bucket: `settings(lease_s=1)`."""
    return SettingsFactory(redis_url=redis_url, redis_prefix=redis_prefix, bucket=s3)


def pytest_configure(config: pytest.Config) -> None:
    mark_this_process()
    read_botocore_once()
    use_one_thread()
    config.stash[SURVIVORS] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before `-m` and xdist look."""
    for item in items:
        layers.mark(item)
    items.sort(key=layers.rank)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Before xdist tells the tests. What is imported by now stays: to look through all of torch for
    garbage takes a second, and Python would do so every few dozen tests."""
    layers.keep_groups(session.items)
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    layers.enter(item)
    if item.get_closest_marker("gpu"):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Of xdist, in the process that controls: a test process has ended."""
    output = getattr(node, "workeroutput", {})
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    config.stash[SURVIVORS] += output.get("survivors", [])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After the fixtures are torn down: look who is still there."""
    config = session.config
    if not config.pluginmanager.hasplugin("dsession"):  # xdist's test processes look themselves
        config.stash[SURVIVORS] += end_survivors()
    if hasattr(config, "workeroutput"):
        config.workeroutput["survivors"] = config.stash[SURVIVORS]
    elif config.stash[SURVIVORS] or _forbidden_skips(config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for survivor in terminalreporter.config.stash[SURVIVORS]:
        terminalreporter.write_line(
            f"FAILED: this process outlived the tests: {survivor}", red=True
        )
    if skips := _forbidden_skips(terminalreporter.config):
        terminalreporter.write_line(f"FAILED: CI_NO_SKIP=1, but {skips} were skipped", red=True)


def _forbidden_skips(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI_NO_SKIP") != "1":
        return 0
    return len(reporter.stats.get("skipped", ()))
