"""HTTP transport: timeouts, retries where they are safe, problems as exceptions."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import httpx

from guanwu.aio import _backend
from guanwu.core.models import parse_response
from guanwu.core.requests import Call
from guanwu.core.responses import (
    check_response,
    client_options,
    error_of,
    interrupted_error,
    partial_path,
    stream_timeout,
    unreachable_error,
)
from guanwu.core.retries import RetryPolicy
from guanwu.errors import ClientError
from guanwu.wire.base import After, Item, ListPage


class AsyncTransport:
    """One server, or the storage its links lead to; for the tasks of one event loop."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str], timeout_s: float, retries: int
    ) -> None:
        self.timeout_s = timeout_s
        self._retries = retries
        self._http = httpx.AsyncClient(**client_options(url, headers, timeout_s))

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, call: Call) -> httpx.Response:
        """Make a call; returns a 2xx response, or a 304.

        A 429 is tried again after the pause the server asks for, if that is short; a 503 or a
        lost connection where the call is safe. While an earlier try with the same
        Idempotency-Key is in flight, its answer is waited for.

        Raises:
            RequestRefused, ServerFault, ServerUnavailable: the server's own problem.
            ServerUnreachable: no connection, or none that lasted.
            UnexpectedAnswer: an answer, but not Guanwu's.
        """
        policy = RetryPolicy(retries=self._retries, safe=call.safe)
        while True:
            try:
                return await self._send(call)
            except ClientError as exc:
                pause_s = policy.pause_s(exc)
            await _backend.sleep(pause_s)

    async def pages(
        self, model: type[ListPage[Item]], page_after: Callable[[After], Call]
    ) -> AsyncIterator[Item]:
        """The items of all pages; `page_after` is the call for a page. Raises as `call` does."""
        after: After = None
        while True:
            page = parse_response(model, await self.call(page_after(after)))
            for item in page.items:
                yield item
            if page.last:
                return
            after = page.next

    async def lines(self, call: Call, *, silence_s: float) -> AsyncGenerator[str, None]:
        """The lines of a stream as they come, tried once. Raises as `call`, and
        ServerUnreachable after `silence_s` without any."""
        try:
            async with self._http.stream(
                call.method, call.path, timeout=stream_timeout(silence_s), **call.options
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise error_of(response)
                async for line in response.aiter_lines():
                    yield line
        except httpx.TransportError as exc:
            raise interrupted_error(self._http.base_url, exc) from exc

    async def pieces(self, call: Call) -> AsyncGenerator[bytes, None]:
        """Download piece by piece, tried once. Raises as `call` does."""
        try:
            async with self._http.stream(call.method, call.path, **call.options) as response:
                if not response.is_success:
                    await response.aread()
                    raise error_of(response)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.TransportError as exc:
            raise interrupted_error(self._http.base_url, exc) from exc

    async def save(self, call: Call, to: Path) -> None:
        """Download into a file, piece by piece; whole or not at all. Raises as `call` does."""
        part = partial_path(to)
        with part.open("wb") as file:
            async with aclosing(self.pieces(call)) as pieces:
                async for piece in pieces:
                    file.write(piece)
        os.replace(part, to)

    async def _send(self, call: Call) -> httpx.Response:
        options = _backend.to_httpx(call.options)
        try:
            response = await self._http.request(call.method, call.path, **options)
        except httpx.TransportError as exc:
            raise unreachable_error(self._http.base_url, exc) from exc
        return check_response(response)
