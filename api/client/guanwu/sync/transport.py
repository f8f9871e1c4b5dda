"""HTTP with patience: timeouts, retries where they are safe, problems as exceptions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

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
from guanwu.errors import ClientError


class Transport:
    """One server, or the storage its links lead to. Safe to share among threads."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str], timeout_s: float, retries: int
    ) -> None:
        self.timeout_s = timeout_s
        self._retries = retries
        self._http = httpx.Client(**client_options(url, headers, timeout_s))

    def close(self) -> None:
        self._http.close()

    def call(self, call: Call) -> httpx.Response:
        """Make a call; returns a 2xx answer, or a 304.

        A 429 is tried again after the pause the server asks for, if that is short; a 503 or a
        lost connection where the call is safe. While an earlier try with the same
        Idempotency-Key is in flight, its answer is waited for.

        Raises:
            RequestRefused, ServerFault, ServerUnavailable: the server's own problem.
            ServerUnreachable: no connection, or none that lasted.
            UnexpectedAnswer: an answer, but not Guanwu's.
        """
        patience = Patience(retries=self._retries, safe=call.safe)
        while True:
            try:
                return self._once(call)
            except ClientError as exc:
                pause_s = patience.pause_s(exc)
            time.sleep(pause_s)

    def pages(self, kind: type[Page[Item]], ask: Callable[[After], Call]) -> Iterator[Item]:
        """The items of all pages; `ask` is the call for those behind one. Raises as `call` does."""
        after: After = None
        while True:
            page = parsed(kind, self.call(ask(after)))
            yield from page.items
            if page.last:
                return
            after = page.next

    def lines(self, call: Call, *, silence_s: float) -> Iterator[str]:
        """The lines of a stream as they come, tried once. Raises as `call`, and
        ServerUnreachable after `silence_s` without any."""
        try:
            with self._http.stream(
                call.method, call.path, timeout=stream_timeout(silence_s), **call.options
            ) as answer:
                if not answer.is_success:
                    answer.read()
                    raise error_of(answer)
                yield from answer.iter_lines()
        except httpx.TransportError as exc:
            raise broken_off(self._http.base_url, exc) from exc

    def pieces(self, call: Call) -> Iterator[bytes]:
        """Download piece by piece, tried once. Raises as `call` does."""
        try:
            with self._http.stream(call.method, call.path, **call.options) as answer:
                if not answer.is_success:
                    answer.read()
                    raise error_of(answer)
                yield from answer.iter_bytes()
        except httpx.TransportError as exc:
            raise broken_off(self._http.base_url, exc) from exc

    def save(self, call: Call, to: Path) -> None:
        """Download into a file, piece by piece; whole or not at all. Raises as `call` does."""
        part = part_of(to)
        with part.open("wb") as file:
            for piece in self.pieces(call):
                file.write(piece)
        os.replace(part, to)

    def _once(self, call: Call) -> httpx.Response:
        try:
            answer = self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as exc:
            raise unreachable(self._http.base_url, exc) from exc
        return checked(answer)
