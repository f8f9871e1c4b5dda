"""Requests to places that clients name, against a real server on loopback."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from worker.contract.addresses import Address, Allowed
from worker.contract.errors import AddressForbidden, OutboundFailed, OutboundTooLarge
from worker.outbound.http import Outbound

LOOPBACK = Allowed.parse("127.0.0.0/8")
HOSTILE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http:///",
    "http://[::1",
    "",
]


class _Server(ThreadingHTTPServer):
    connected = 0
    hosts: tuple[str, ...] = ()

    def process_request(self, request: object, address: object) -> None:
        self.connected += 1
        super().process_request(request, address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self.server.hosts += (self.headers["Host"],)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/")
        else:
            self.send_response(200)
        self.end_headers()
        if self.path == "/drip":
            for _ in range(100):
                self.wfile.write(b".")
                time.sleep(0.1)
        else:
            self.wfile.write(b"x" * 1000)


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def outbound(allowed: Allowed = LOOPBACK, *addresses: str, timeout_s: float = 5.0) -> Outbound:
    """With `addresses`, every name has these."""

    def resolve(_host: str, _port: int) -> list[Address]:
        return [ip_address(address) for address in addresses]

    return Outbound(
        allowed, timeout_s=timeout_s, max_bytes=1000, resolve=resolve if addresses else None
    )


def fetch(through: Outbound, url: str) -> tuple[int, bytes]:
    with through.open("GET", url) as answer:
        return answer.status, b"".join(answer.pieces)


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_urls_are_refused_and_nothing_is_connected(server: _Server, url: str) -> None:
    with pytest.raises((AddressForbidden, OutboundFailed)):
        fetch(outbound(Allowed()), url.format(port=server.server_port))
    assert server.connected == 0


def test_allowed_network_is_called(server: _Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}/"
    assert fetch(outbound(), url) == (200, b"x" * 1000)
    assert server.hosts == (f"127.0.0.1:{server.server_port}",)


def test_host_is_resolved_once_and_its_checked_address_is_called(server: _Server) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[Address]:
        asked.append(host)
        return [ip_address(address) for address in next(answers)]

    through = Outbound(LOOPBACK, timeout_s=5, max_bytes=1000, resolve=resolve)
    status, _ = fetch(through, f"http://hooks.example:{server.server_port}/")
    assert (status, asked) == (200, ["hooks.example"])
    assert server.hosts == (f"hooks.example:{server.server_port}",)
    with pytest.raises(AddressForbidden, match=r"hooks\.example is not at a public address"):
        fetch(through, f"http://hooks.example:{server.server_port}/")


def test_name_with_one_private_address_among_public_ones_is_refused(server: _Server) -> None:
    with pytest.raises(AddressForbidden):
        fetch(outbound(Allowed(), "8.8.8.8", "127.0.0.1"), "http://hooks.example/")
    assert server.connected == 0


def test_next_address_is_tried_if_one_refuses(server: _Server) -> None:
    through = outbound(Allowed.parse("127.0.0.0/8,::1/128"), "::1", "127.0.0.1")
    assert fetch(through, f"http://hooks.example:{server.server_port}/")[0] == 200


def test_redirect_is_an_answer_and_is_not_followed(server: _Server) -> None:
    with outbound().open("GET", f"http://127.0.0.1:{server.server_port}/away") as answer:
        assert (answer.status, answer.headers["location"]) == (302, "/")
    assert server.connected == 1


def test_proxy_of_the_environment_is_not_used(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetch(outbound(), f"http://127.0.0.1:{server.server_port}/")[0] == 200


def test_body_above_the_limit_is_not_read_on(server: _Server) -> None:
    through = Outbound(LOOPBACK, timeout_s=5, max_bytes=999)
    with pytest.raises(OutboundTooLarge, match="999 bytes"):
        fetch(through, f"http://127.0.0.1:{server.server_port}/")


def test_answer_that_drips_ends_at_the_deadline(server: _Server) -> None:
    began_s = time.monotonic()
    with pytest.raises(OutboundFailed, match=r"within 0\.5 s"):
        fetch(outbound(timeout_s=0.5), f"http://127.0.0.1:{server.server_port}/drip")
    assert time.monotonic() - began_s < 3


def test_resolver_that_hangs_ends_at_the_deadline() -> None:
    late = threading.Event()

    def resolve(_host: str, _port: int) -> list[Address]:
        late.wait(5)
        return []

    through = Outbound(LOOPBACK, timeout_s=0.2, max_bytes=1, resolve=resolve)
    with pytest.raises(OutboundFailed, match=r"within 0\.2 s"):
        fetch(through, "http://hooks.example/")
    late.set()


def test_server_that_is_not_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OutboundFailed, match="cannot be reached"):
        fetch(outbound(), f"http://127.0.0.1:{port}/")


@pytest.mark.system
@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_tls_is_of_the_name_and_not_of_the_address(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hooks -keyout {key}"
    name = "subjectAltName=DNS:hooks.example"
    subprocess.run(
        [*made.split(), "-out", certificate, "-addext", name], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    through = outbound(LOOPBACK, "127.0.0.1")
    assert fetch(through, f"https://hooks.example:{server.server_port}/")[0] == 200
    with pytest.raises(OutboundFailed, match="certificate verify failed"):
        fetch(through, f"https://other.example:{server.server_port}/")
