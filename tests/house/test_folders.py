"""Rooms stay small: at most 16 modules in a folder."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath

from tests.house.source import PRODUCT, modules

MAX_MODULES = 16
UNLIMITED = {"worker/vision/explain": "one method a file"}
TOP_MODULES = 6


def test_no_folder_has_more_than_sixteen_modules() -> None:
    paths = [m.path for m in modules(*PRODUCT) if not m.path.endswith("/__init__.py")]
    counts = Counter(PurePath(path).parent.as_posix() for path in paths)
    full = {k: n for k, n in counts.items() if n > MAX_MODULES and k not in UNLIMITED}
    assert not full, "divide these by subject, or say in UNLIMITED why not"


def test_the_top_of_api_and_worker_has_entry_points_alone() -> None:
    top = [m.path for m in modules("api", "worker") if m.path.count("/") == 1]
    assert len(top) <= TOP_MODULES, top
