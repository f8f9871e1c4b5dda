"""Layers of tests by speed: told by the folder a test lies in and the fixtures it takes.

| layer | what its tests may start |
|---|---|
| unit | nothing that listens |
| integration | Valkey, SeaweedFS, a front door of its own, networks with published weights |
| acceptance | whole stacks, with workers |
| browser | the same, and Chromium |
| faults | the same, and breaks them |
| conformance | a stack that Schemathesis asks |

`require` keeps this honest: a test that starts more than its layer may is an error.
"""

from __future__ import annotations

from pathlib import Path

import pytest

LAYERS = ("unit", "integration", "acceptance", "browser", "faults", "conformance")
FOLDERS = ("acceptance", "browser", "faults", "conformance")
FIXTURES = {
    "services": "integration",
    "own_valkey": "integration",
    "own_services": "integration",
    # Networks with their published weights.
    "engine": "integration",
    "caltech": "integration",
    "dinov2_small": "integration",
    "lite0": "integration",
    "lite0_checkpoint": "integration",
    "stack": "acceptance",
    "seer_stack": "acceptance",
    "many_models": "acceptance",
    "url_stack": "acceptance",
    "own_stack": "acceptance",
}
SHARED_STACKS = ("stack", "seer_stack", "many_models", "url_stack")
"""Fixtures of the session that start a stack: all tests that take one go to one test process."""
MAIN_JOB = "main_job"
"""Mark of the one run of the whole system that `make test` takes."""
MAIN_JOB_FILES = ("acceptance/test_main_job.py",)
ALONE_BY_MODULE = ("acceptance", "browser", "conformance")
"""Layers whose modules start a stack each: all tests of one go to the same test process."""
_TESTS = Path(__file__).parents[1]
_running = "unit"


def layer_of(item: pytest.Item) -> str:
    """The slowest of what its folder and its fixtures say."""
    folder = item.path.relative_to(_TESTS).parts[0]
    if folder in FOLDERS:
        return folder
    named = {FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in FIXTURES}
    return max(named, key=LAYERS.index, default="unit")


def mark(item: pytest.Item) -> None:
    """Give a test the marks of its layer, and the process that it belongs to."""
    layer = layer_of(item)
    item.add_marker(layer)
    path = item.path.relative_to(_TESTS).as_posix()
    if path in MAIN_JOB_FILES:
        item.add_marker(MAIN_JOB)
    if item.get_closest_marker("xdist_group"):
        return
    if shared := _shared_stack(item):
        item.add_marker(pytest.mark.xdist_group(shared))
    elif layer in ALONE_BY_MODULE:
        item.add_marker(pytest.mark.xdist_group(path))


def keep_groups(items: list[pytest.Item]) -> None:
    """xdist 3.8 appends a test's group to `_nodeid`, which pytest 9.2 no longer reads: without this
    each process would start the stack of each group."""
    for item in items:
        named = getattr(item, "_nodeid", item.nodeid)
        if named != item.nodeid:
            item._id = type(item.id).parse(named)


def rank(item: pytest.Item) -> int:
    """Of a run's order: what takes longest begins first, so that both processes end together."""
    return -LAYERS.index(layer_of(item))


def _shared_stack(item: pytest.Item) -> str | None:
    """The stack that the session, not its module, gives it."""
    module, named = getattr(item, "module", None), getattr(item, "fixturenames", ())
    return next((n for n in SHARED_STACKS if n in named and not hasattr(module, n)), None)


def enter(item: pytest.Item) -> None:
    """From here on, this test runs."""
    global _running
    _running = layer_of(item)


def require(layer: str) -> None:
    """Raises:
    RuntimeError: the running test is of a quicker layer than what it is about to start.
    """
    if LAYERS.index(_running) < LAYERS.index(layer):
        raise RuntimeError(
            f"a test of the layer {_running} starts what belongs to {layer}; let it take a fixture "
            f"that says so (tests/support/layers.py), or move it to tests/{layer}"
        )
