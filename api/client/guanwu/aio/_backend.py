"""asyncio side of the client: waiting, parallel uploads and request bodies.

Its twin is `guanwu.sync._backend`; the other modules of `guanwu.sync` are made from this folder
by `api/client/unasync.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from guanwu.core.upload_body import PARALLEL_UPLOADS, UploadBody

Item = TypeVar("Item")
Result = TypeVar("Result")
Upload = Callable[[Path | bytes], Awaitable[str]]


async def sleep(pause_s: float) -> None:
    await asyncio.sleep(pause_s)


def upload_slots() -> asyncio.Semaphore:
    """Shared by all that one client uploads at a time."""
    return asyncio.Semaphore(PARALLEL_UPLOADS)


async def map_parallel(
    function: Callable[[Item], Awaitable[Result]],
    items: Iterable[Item],
    *,
    slots: asyncio.Semaphore,
) -> list[Result]:
    """Results in the items' order; a few calls of `function` run at a time."""

    async def call(item: Item) -> Result:
        async with slots:
            return await function(item)

    return await asyncio.gather(*(call(item) for item in items))


def to_httpx(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a call for `httpx.AsyncClient`, which takes asynchronous bodies alone."""
    body = options.get("content")
    return {**options, "content": _pieces(body)} if isinstance(body, UploadBody) else dict(options)


async def _pieces(body: UploadBody) -> AsyncIterator[bytes]:
    for piece in body:
        yield piece
