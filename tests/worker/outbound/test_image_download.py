"""Pictures by URL from a real server; and hostile URLs, none of which is ever connected to."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.misbehaving_web_server import WebServer, web_server
from worker.contract.addresses import Address
from worker.contract.errors import (
    GuanwuError,
    ImageTooLarge,
    UrlNotAllowed,
    UrlRefused,
    UrlUnreachable,
)
from worker.contract.settings.environment import load
from worker.outbound.http import system_addresses
from worker.outbound.image_download import Downloads

PICTURE = b"\x89PNG and so on"
PUBLIC = "93.184.215.14"
NAMES = {"pictures.test": "127.0.0.1", "other.test": "127.0.0.1", "public.test": PUBLIC}


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server({"/a.png": PICTURE, "/%E5%9B%BE.png": PICTURE}) as server:
        yield server


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried once more is tried at once."""
    monkeypatch.setattr("worker.outbound.image_download.AGAIN_S", 0.01)


@pytest.fixture
def victim() -> Iterator[WebServer]:
    """Nobody may get here."""
    with web_server({"/a.png": PICTURE}) as server:
        yield server


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where this process has begun to connect to. What is beyond this machine is not reached."""
    begun: list[Any] = []
    connect = socket.socket.connect

    def recording(self: socket.socket, address: Any) -> None:
        begun.append(address[:2])
        if not address[0].startswith(("127.", "::1")):
            raise ConnectionRefusedError("beyond this machine")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recording)
    return begun


def by_name(host: str, port: int) -> list[Address]:
    """What a name server would say; an address is itself, in all forms the system reads."""
    if host in NAMES:
        return [ip_address(NAMES[host])]
    return system_addresses(host, port)


def downloads(
    port: int, *, resolve: Callable[[str, int], list[Address]] = by_name, **changes: object
) -> Downloads:
    """As open as an operator can make it, but for what `changes` say."""
    named = {
        "url_input_hosts": "*,pictures.test",
        "url_input_http": True,
        "url_input_ports": f"80,443,{port}",
        "url_input_timeout_s": 5,
        "outbound_allow": "pictures.test",
        "max_image_bytes": 100_000,
    } | changes
    settings = load({f"GUANWU_{name.upper()}": str(value) for name, value in named.items()})
    return Downloads(settings, resolve=resolve)


def test_a_picture_is_fetched_whatever_type_the_server_says_it_is(server: WebServer) -> None:
    url = f"http://pictures.test:{server.port}/a.png"
    assert downloads(server.port).fetch(url) == PICTURE
    (_, headers) = server.requests[0]
    assert headers["host"] == f"pictures.test:{server.port}"


def test_redirects_are_followed_and_carry_nothing_along(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    url = f"http://pictures.test:{server.port}/to?url=/to%3Furl%3D/a.png"
    assert downloads(server.port).fetch(url) == PICTURE
    assert [path for path, _ in server.requests][1:] == ["/to?url=/a.png", "/a.png"]
    for _, headers in server.requests:
        assert {name.lower() for name in headers} == {
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
        }


@pytest.mark.parametrize("path", ["/图.png", "/%E5%9B%BE.png", "/to?url=/%E5%9B%BE.png"])
def test_a_chinese_name_is_understood_encoded_or_not(server: WebServer, path: str) -> None:
    assert downloads(server.port).fetch(f"http://pictures.test:{server.port}{path}") == PICTURE


@pytest.mark.parametrize(
    ("path", "kind", "told"),
    [
        ("/none.png", UrlRefused, "answers 404"),
        ("/status/401", UrlRefused, "without a login"),
        ("/status/204", UrlRefused, "answers 204"),
        ("/status/429", UrlUnreachable, "answers 429"),
        ("/status/503", UrlUnreachable, "answers 503"),
        ("/packed", UrlRefused, "packed"),
        ("/cut", UrlUnreachable, "broke off"),
        ("/endless", ImageTooLarge, "more than 100,000 bytes"),
        ("/huge", ImageTooLarge, "more than 100,000 bytes"),
    ],
)
def test_each_trouble_has_its_own_code_and_remedy(
    server: WebServer, path: str, kind: type[GuanwuError], told: str
) -> None:
    with pytest.raises(kind) as caught:
        downloads(server.port).fetch(f"http://pictures.test:{server.port}{path}")
    assert told in caught.value.message
    assert ";" in caught.value.message
    assert caught.value.retryable is (kind is UrlUnreachable)


def test_a_passing_trouble_is_tried_once_more_and_no_other(server: WebServer) -> None:
    url = f"http://pictures.test:{server.port}/a.png"
    server.troubles = [503]
    assert downloads(server.port).fetch(url) == PICTURE
    server.troubles = [503, 500, 503]
    with pytest.raises(UrlUnreachable, match="answers 500"):
        downloads(server.port).fetch(url)
    server.troubles = [404, 200]
    with pytest.raises(UrlRefused):
        downloads(server.port).fetch(url)
    assert server.connections == 5


def test_a_loop_of_redirects_ends(server: WebServer) -> None:
    with pytest.raises(UrlRefused, match="more than 5 times"):
        downloads(server.port).fetch(f"http://pictures.test:{server.port}/to?url=")
    assert server.connections == 6


@pytest.mark.parametrize("path", ["/drip", "/stall"])
def test_a_server_that_drips_is_given_up_in_time(server: WebServer, path: str) -> None:
    started_s = time.monotonic()
    with pytest.raises(UrlUnreachable, match="within"):
        downloads(server.port, url_input_timeout_s=0.6).fetch(
            f"http://pictures.test:{server.port}/to?url={path}"
        )
    assert time.monotonic() - started_s < 2


def test_a_server_that_is_away_or_has_no_name_is_unreachable(connected: list[Any]) -> None:
    for url in ("https://public.test/a.png", "https://no-such-name.invalid/a.png"):
        with pytest.raises(UrlUnreachable, match=";"):
            downloads(80).fetch(url)
    assert set(connected) <= {(PUBLIC, 443)}


@pytest.mark.system
@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_certificate_that_nobody_vouches_for_is_refused_for_good(
    server: WebServer, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=pictures -keyout {key}"
    subprocess.run([*made.split(), "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(UrlRefused, match="certificate"):
        downloads(server.port).fetch(f"https://pictures.test:{server.port}/a.png")


# --- hostile -----------------------------------------------------------------------

HOSTILE = [
    "http://127.0.0.1:{port}/a.png",
    "http://127.0.0.2:{port}/a.png",
    "http://2130706433:{port}/a.png",
    "http://017700000001:{port}/a.png",
    "http://0x7f000001:{port}/a.png",
    "http://0x7F.0.0.1:{port}/a.png",
    "http://0177.0.0.1:{port}/a.png",
    "http://127.1:{port}/a.png",
    "http://127.0.1:{port}/a.png",
    "http://0:{port}/a.png",
    "http://0.0.0.0:{port}/a.png",
    "http://127.0.0.1.:{port}/a.png",
    "http://[::1]:{port}/a.png",
    "http://[::]:{port}/a.png",
    "http://[0:0:0:0:0:0:0:1]:{port}/a.png",
    "http://[::ffff:127.0.0.1]:{port}/a.png",
    "http://[::ffff:7f00:1]:{port}/a.png",
    "http://[::127.0.0.1]:{port}/a.png",
    "http://[64:ff9b::7f00:1]:{port}/a.png",
    "http://[2002:7f00:1::]:{port}/a.png",
    "http://[fe80::1%25lo]:{port}/a.png",
    "http://[fe80::1%lo]:{port}/a.png",
    "http://localhost:{port}/a.png",
    "http://LocalHost:{port}/a.png",
    "http://localhost.:{port}/a.png",
    "http://a.localhost:{port}/a.png",
    "http://other.test:{port}/a.png",
    "http://OTHER.test:{port}/a.png",
    "http://user@pictures.test:{port}/a.png",
    "http://pictures.test@127.0.0.1:{port}/a.png",
    "http://pictures.test:80@127.0.0.1:{port}/a.png",
    "http://pictures.test%40127.0.0.1:{port}/a.png",
    "http://127.0.0.1:{port}\\@pictures.test/a.png",
    "http://pictures.test\\@127.0.0.1:{port}/a.png",
    "http://127.0.0.1:{port}#@pictures.test/",
    "http:/127.0.0.1:{port}/a.png",
    "http:127.0.0.1:{port}/a.png",
    "//127.0.0.1:{port}/a.png",
    "http:///127.0.0.1:{port}/a.png",
    "http://１２７.０.０.１:{port}/a.png",
    "http://①②⑦.⓪.⓪.①:{port}/a.png",
    "http://127。0。0。1:{port}/a.png",
    "http://ⓛocalhost:{port}/a.png",
    "http://%6c%6f%63alhost:{port}/a.png",
    "http://127.0.0.1%00.pictures.test:{port}/a.png",
    "http://pictures.test:{port}/a.png\r\nHost: 127.0.0.1",
    "http://pictures.test\r\n:{port}/a.png",
    "http://pictures.test:{port}/a\tb.png",
    "http://xn--zz:{port}/a.png",
    "http://xn--a.com:{port}/a.png",
    "http://pictures.test:22/a.png",
    "http://pictures.test:0{port}0/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://metadata/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/a.png",
    "data:image/png;base64,AAAA",
    "jar:http://127.0.0.1:{port}/a.png!/",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_and_nothing_connected_to(
    server: WebServer, connected: list[Any], url: str
) -> None:
    with pytest.raises(UrlNotAllowed):
        downloads(server.port).fetch(url.replace("{port}", str(server.port)))
    assert connected == []
    assert server.connections == 0


# A header cannot carry line breaks and no redirect is empty: what is left of those is harmless.
TARGETS = [url for url in HOSTILE if url and not set(url) & set("\r\n\t")]


@pytest.mark.parametrize("url", TARGETS)
def test_no_redirect_leads_to_a_hostile_url(
    server: WebServer, victim: WebServer, connected: list[Any], url: str
) -> None:
    target = quote(url.replace("{port}", str(victim.port)), safe="")
    ports = f"80,{server.port},{victim.port}"
    with pytest.raises((UrlNotAllowed, UrlRefused)):
        downloads(80, url_input_ports=ports).fetch(
            f"http://pictures.test:{server.port}/to?url={target}"
        )
    assert victim.connections == 0
    assert set(connected) == {("127.0.0.1", server.port)}


def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(
    server: WebServer, connected: list[Any]
) -> None:
    answers = [PUBLIC, "127.0.0.1"]

    def changing(host: str, port: int) -> list[Address]:
        return [ip_address(answers.pop(0))]

    with pytest.raises(UrlNotAllowed):  # at the second try, after the public address was away
        downloads(server.port, resolve=changing).fetch(f"http://public.test:{server.port}/a.png")
    assert connected == [(PUBLIC, server.port)]
    assert answers == []


@pytest.mark.parametrize("inner", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "fe80::1"])
def test_a_name_with_one_inner_address_is_refused_whole(
    server: WebServer, connected: list[Any], inner: str
) -> None:
    def both(host: str, port: int) -> list[Address]:
        return [ip_address(PUBLIC), ip_address(inner)]

    with pytest.raises(UrlNotAllowed, match="public"):
        downloads(server.port, resolve=both).fetch(f"http://public.test:{server.port}/a.png")
    assert connected == []


def test_an_address_open_to_others_is_not_open_to_any_url(
    server: WebServer, connected: list[Any]
) -> None:
    url = f"http://other.test:{server.port}/a.png"
    inside = "127.0.0.0/8,other.test"
    with pytest.raises(UrlNotAllowed):
        downloads(server.port, outbound_allow=inside).fetch(url)
    assert connected == []
    named = downloads(server.port, url_input_hosts="other.test", outbound_allow=inside)
    assert named.fetch(url) == PICTURE
