"""HTTP to addresses that clients name, guarded against server-side request forgery.

A host is resolved once, every address it has is checked, and the connection goes to an
address that was checked, with the host's own name for TLS and `Host`. No redirect is
followed, no proxy of the environment used, and the whole exchange has one deadline.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from worker.contract.addresses import Address, Allowed, parse_url
from worker.contract.errors import AddressForbidden, OutboundFailed, OutboundTooLarge
from worker.contract.telemetry import tracing

Resolve = Callable[[str, int], list[Address]]
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class HttpAnswer:
    """An answer whose body is not read yet. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class Outbound:
    """Sends requests, each over a connection of its own. Safe to share among threads.

    Example:
        with outbound.open("GET", "https://example.com/cat.jpg") as answer:
            body = b"".join(answer.pieces)
    """

    def __init__(
        self,
        allowed: Allowed,
        *,
        timeout_s: float,
        max_bytes: int,
        resolve: Resolve | None = None,
    ) -> None:
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._resolve = resolve or system_addresses
        self._tls = httpx.create_ssl_context()

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[HttpAnswer]:
        """Send a request; the connection is closed when the context ends.

        `timeout_s` takes the place of the one all requests have.

        Raises:
            AddressForbidden: the URL is not one to call, or its host's address is not public.
            OutboundTooLarge: from `pieces`: the body is larger than `max_bytes`.
            OutboundFailed: no answer, or not all of it within `timeout_s`.
        """
        where = parse_url(url)
        request_headers = [("host", where.netloc.decode("ascii")), *(headers or {}).items()]
        if (span := tracing.traceparent()) is not None:
            request_headers.append((tracing.HEADER, span))
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        until_s = time.monotonic() + timeout_s
        backend = _CheckedBackend(self._allowed, self._resolve, until_s)
        with (
            _translate_errors(where.host, timeout_s),
            self._pool(backend) as pool,
            pool.stream(
                method, _target(where), headers=request_headers, content=content
            ) as response,
        ):
            answer_headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            pieces = self._limit_bytes(response.iter_stream(), where.host)
            yield HttpAnswer(response.status, answer_headers, pieces)

    def _pool(self, backend: _CheckedBackend) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(
            ssl_context=self._tls, network_backend=backend, max_keepalive_connections=0
        )

    def _limit_bytes(self, pieces: Iterable[bytes], host: str) -> Iterator[bytes]:
        read = 0
        for piece in pieces:
            read += len(piece)
            if read > self._max_bytes:
                raise OutboundTooLarge(
                    f"{host} sends more than {self._max_bytes:,} bytes, which is the limit"
                )
            yield piece


class _CheckedBackend(httpcore.NetworkBackend):
    """Opens connections to checked addresses only; nothing on them outlasts the deadline."""

    def __init__(self, allowed: Allowed, resolve: Resolve, until_s: float) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._until_s = until_s
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in self._resolve_allowed(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    str(address), port, _left_s(self._until_s), None, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
                continue
            return _TimedStream(stream, self._until_s)
        raise failed or httpcore.ConnectError(f"{host} has no address")

    def _resolve_allowed(self, host: str, port: int) -> list[Address]:
        """All addresses of the host, if each may be called."""
        addresses = _within(self._until_s, lambda: self._resolve(host, port))
        if not all(self._allowed.may_call(address, host=host) for address in addresses):
            raise AddressForbidden(
                f"{host} is not at a public address, and the operator has not allowed it; "
                "name another host, or have it added to GUANWU_OUTBOUND_ALLOW"
            )
        return addresses


class _TimedStream(httpcore.NetworkStream):
    """A connection on which every wait ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, until_s: float) -> None:
        self._stream = stream
        self._until_s = until_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left_s(self._until_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left_s(self._until_s))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s = _left_s(self._until_s)
        return _TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, left_s), self._until_s
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def system_addresses(host: str, port: int) -> list[Address]:
    """Addresses of the system's resolver, in the order in which they are tried."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise httpcore.ConnectError(f"{host} cannot be resolved") from exc
    return [ipaddress.ip_address(entry[4][0]) for entry in entries]


def _within(until_s: float, work: Callable[[], list[Address]]) -> list[Address]:
    """The system's resolver takes no timeout, so it is left behind when it is late."""
    outcome: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(work())
        except Exception as exc:
            outcome.put(exc)

    threading.Thread(target=run, name="resolver", daemon=True).start()
    try:
        result = outcome.get(timeout=_left_s(until_s))
    except queue.Empty:
        raise httpcore.ConnectTimeout("the name could not be resolved in time") from None
    if isinstance(result, Exception):
        raise result
    return result


def _left_s(until_s: float) -> float:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise httpcore.ReadTimeout("the deadline is over")
    return left_s


def _target(where: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=where.raw_scheme,
        host=where.raw_host,
        port=where.port or PORTS[where.scheme],
        target=where.raw_path,
    )


@contextmanager
def _translate_errors(host: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as exc:
        raise OutboundFailed(f"{host} did not answer within {timeout_s:g} s") from exc
    except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
        raise OutboundFailed(f"{host} cannot be reached, or broke off: {exc}") from exc
