"""Callers of a front door, many in one process of their own, over bare sockets.

`python -m tests.benchmarks.callers` reads one JSON order from standard input and writes one
JSON answer: what was seen, and what the callers themselves cost. An HTTP library would cost
more than the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

CONNECT_S = 30.0
ANSWER_S = 30.0
MARK = b"~" * 16  # in a body: what makes it differ from all others


@dataclass
class Seen:
    """Latencies and statuses of all answers, and errors by their names."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    events: int = 0


class Caller:
    """One client with one connection that stays open."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, *, body: bytes = b"", kind: str = "") -> int:
        """One request; its status. The body of the answer is read and dropped."""
        reader, writer = await self._connection()
        writer.write(self.request(method, path, body=body, kind=kind))
        status, headers = await asyncio.wait_for(_head(reader), ANSWER_S)
        await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return status

    async def stream(self, path: str) -> tuple[int, asyncio.StreamReader]:
        """The status of a stream, and what it is read from."""
        reader, writer = await self._connection()
        writer.write(self.request("GET", path))
        status, _ = await asyncio.wait_for(_head(reader), ANSWER_S)
        return status, reader

    def request(self, method: str, path: str, *, body: bytes = b"", kind: str = "") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            opening = asyncio.open_connection(*self._address)
            self._streams = await asyncio.wait_for(opening, CONNECT_S)
        return self._streams

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = (line.partition(": ") for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value for name, _, value in headers}


async def poll(
    caller: Caller, paths: list[str], *, every_s: float, end_s: float, seen: Seen
) -> None:
    """Ask for a job's status again and again, beginning somewhere in the first interval."""
    await asyncio.sleep(random.uniform(0, every_s))
    while time.perf_counter() < end_s:
        began_s = time.perf_counter()
        try:
            seen.statuses[await caller.ask("GET", random.choice(paths))] += 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as exc:
            seen.errors[type(exc).__name__] += 1
            caller.close()
        seen.latencies_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(max(0.0, began_s + every_s - time.perf_counter()))


async def watch(caller: Caller, path: str, *, end_s: float, seen: Seen) -> None:
    """Read a stream of events until the time is over."""
    try:
        status, reader = await caller.stream(path)
        seen.statuses[status] += 1
        while (left_s := end_s - time.perf_counter()) > 0:
            try:
                line = await asyncio.wait_for(reader.readline(), left_s)
            except TimeoutError:
                return
            if not line:
                seen.errors["StreamEnded"] += 1
                return
            seen.events += line.startswith(b"data:")
    except (OSError, asyncio.IncompleteReadError) as exc:
        seen.errors[type(exc).__name__] += 1


async def submit(caller: Caller, order: dict[str, Any], *, end_s: float, seen: Seen) -> None:
    """Send one request after the other, each with an image of its own."""
    template = order["body"].encode("latin-1")
    while time.perf_counter() < end_s:
        body = template.replace(MARK, f"{random.getrandbits(64):016x}".encode())
        began_s = time.perf_counter()
        status = await caller.ask("POST", order["path"], body=body, kind=order["kind"])
        seen.statuses[status] += 1
        seen.latencies_ms.append((time.perf_counter() - began_s) * 1000)


async def run(order: dict[str, Any]) -> dict[str, Any]:
    """All callers of an order, together."""
    began_s = time.perf_counter()
    end_s = began_s + order["seconds"]
    seen, streams = Seen(), Seen()
    url, token = order["url"], order["token"]
    tasks = []
    for _ in range(order.get("pollers", 0)):
        polled = poll(
            Caller(url, token), order["polled"], every_s=order["every_s"], end_s=end_s, seen=seen
        )
        tasks.append(polled)
    for _ in range(order.get("streams", 0)):
        tasks.append(watch(Caller(url, token), order["watched"], end_s=end_s, seen=streams))
    for _ in range(order.get("senders", 0)):
        tasks.append(submit(Caller(url, token), order, end_s=end_s, seen=seen))
    await asyncio.gather(*tasks)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seen": vars(seen),
        "streams": vars(streams),
        "spent_s": time.perf_counter() - began_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
