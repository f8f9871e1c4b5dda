"""Plain side of the client: waiting, parallel uploads and request bodies.

Its twin is `guanwu.aio._backend`. This is the one module of the folder that is written by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from guanwu.core.upload_body import PARALLEL_UPLOADS

Item = TypeVar("Item")
Result = TypeVar("Result")
Upload = Callable[[Path | bytes], str]


def sleep(pause_s: float) -> None:
    time.sleep(pause_s)


def upload_slots() -> int:
    """Uploads at a time."""
    return PARALLEL_UPLOADS


def map_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], *, slots: int
) -> list[Result]:
    """Results in the items' order; `slots` calls of `function` run at a time, each in a thread."""
    with ThreadPoolExecutor(slots, thread_name_prefix="upload") as pool:
        return list(pool.map(function, items))


def to_httpx(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a call for `httpx.Client`."""
    return dict(options)
