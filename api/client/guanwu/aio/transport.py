"""`Transport` for asyncio: the same decisions, other waiting."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from guanwu.core.models import After, Item, Page, parsed
from guanwu.core.requests import Call
from guanwu.core.responses import (
    broken_off,
    checked,
    client_options,
    error_of,
    part_of,
    stream_timeout,
    unreachable,
)
from guanwu.core.retries import Patience
from guanwu.core.upload_body import Body
from guanwu.errors import ClientError


class AsyncTransport:
    """One server, or the storage its links lead to, for the tasks of one event loop."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str], timeout_s: float, retries: int
    ) -> None:
        self.timeout_s = timeout_s
        self._retries = retries
        self._http = httpx.AsyncClient(**client_options(url, headers, timeout_s))

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, call: Call) -> httpx.Response:
        """As `Transport.call`."""
        patience = Patience(retries=self._retries, safe=call.safe)
        while True:
            try:
                return await self._once(call)
            except ClientError as exc:
                pause_s = patience.pause_s(exc)
            await asyncio.sleep(pause_s)

    async def pages(
        self, kind: type[Page[Item]], ask: Callable[[After], Call]
    ) -> AsyncIterator[Item]:
        """As `Transport.pages`."""
        after: After = None
        while True:
            page = parsed(kind, await self.call(ask(after)))
            for item in page.items:
                yield item
            if page.last:
                return
            after = page.next

    async def lines(self, call: Call, *, silence_s: float) -> AsyncGenerator[str, None]:
        """As `Transport.lines`."""
        try:
            async with self._http.stream(
                call.method, call.path, timeout=stream_timeout(silence_s), **call.options
            ) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise error_of(answer)
                async for line in answer.aiter_lines():
                    yield line
        except httpx.TransportError as exc:
            raise broken_off(self._http.base_url, exc) from exc

    async def pieces(self, call: Call) -> AsyncGenerator[bytes, None]:
        """As `Transport.pieces`."""
        try:
            async with self._http.stream(call.method, call.path, **call.options) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise error_of(answer)
                async for piece in answer.aiter_bytes():
                    yield piece
        except httpx.TransportError as exc:
            raise broken_off(self._http.base_url, exc) from exc

    async def save(self, call: Call, to: Path) -> None:
        """As `Transport.save`."""
        part = part_of(to)
        with part.open("wb") as file:
            async for piece in self.pieces(call):
                file.write(piece)
        os.replace(part, to)

    async def _once(self, call: Call) -> httpx.Response:
        try:
            answer = await self._http.request(call.method, call.path, **_awaitable(call.options))
        except httpx.TransportError as exc:
            raise unreachable(self._http.base_url, exc) from exc
        return checked(answer)


def _awaitable(options: Mapping[str, Any]) -> dict[str, Any]:
    """httpx takes a body that can be iterated for a synchronous one."""
    body = options.get("content")
    return {**options, "content": _pieces(body)} if isinstance(body, Body) else dict(options)


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    for piece in body:
        yield piece
