"""URLs that jobs may name, and those refused before anyone looks them up."""

from __future__ import annotations

import pytest

from worker.contract.errors import SettingsInvalid, UrlNotAllowed
from worker.contract.inputs.urls import check_url, file_name, redact_url
from worker.contract.settings.environment import load


def refusal(url: str, **changes: str) -> str | None:
    """Why the URL is refused; None if it is not."""
    named = {"url_input_hosts": "*"} | changes
    settings = load({f"GUANWU_{name.upper()}": value for name, value in named.items()})
    try:
        check_url(url, settings)
    except UrlNotAllowed as exc:
        return exc.message
    return None


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://example.com/a.jpg", "example.com"),
        ("https://EXAMPLE.com:443/a.jpg?x=1&y=%20#part", "example.com"),
        ("https://example.com", "example.com"),
        ("https://example.com?a.jpg", "example.com"),
        ("https://img.example.com/a.jpg", "*.example.com"),
        ("https://a.b.example.com/图/虎斑猫.jpg", "other.org, *.example.com"),
        ("https://xn--fsqu00a.xn--0zwm56d/a.jpg", "*"),
        ("https://my_bucket.example.com/a@b.jpg", "*"),
        ("https://8.8.8.8/a.jpg", "*"),
        ("https://[2606:4700:4700::1111]/a.jpg", "*"),
    ],
)
def test_a_url_of_an_allowed_host_is_taken(url: str, hosts: str) -> None:
    assert refusal(url, url_input_hosts=hosts) is None


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://example.com/a.jpg", "*.example.com"),
        ("https://badexample.com/a.jpg", "*.example.com"),
        ("https://example.com.evil.org/a.jpg", "example.com,*.example.com"),
        ("https://8.8.8.8/a.jpg", "example.com"),
        ("https://8.8.8.8/a.jpg", "*.8"),
        ("https://evil.org/?example.com", "example.com"),
        ("https://evil.org/#@example.com", "example.com"),
    ],
)
def test_a_url_of_another_host_is_not(url: str, hosts: str) -> None:
    assert "GUANWU_URL_INPUT_HOSTS" in (refusal(url, url_input_hosts=hosts) or "")


def test_without_hosts_no_url_is_taken() -> None:
    assert "upload the file" in (refusal("https://example.com/a.jpg", url_input_hosts="") or "")


HOSTILE = [
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.0.0x1/",
    "https://127.0.0.01/",
    "https://0/",
    "https://256.256.256.256/",
    "https://10.0.0.5/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://192.168.0.1/",
    "https://224.0.0.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[::1",
    "https://::1/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://sub.localhost/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://1.0.0.127.in-addr.arpa/",
    "https://example.com./",
    "https://example..com/",
    "https://.example.com/",
    "https://user@example.com/",
    "https://user:pass@127.0.0.1/",
    "https://example.com@127.0.0.1/",
    "https://example.com:443@127.0.0.1/",
    "https://127.0.0.1\\@example.com/",
    "https:\\\\example.com/",
    "https:/example.com/",
    "https:example.com/",
    "https:///example.com/",
    "//example.com/",
    "example.com/a.jpg",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://１２７.0.0.1/",
    "https://e\u212aample.com/",
    "https://example\u3002com/",
    "https://%31%32%37.0.0.1/",
    "https://exa%6dple.com/",
    "https://example.com:22/",
    "https://example.com:6379/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com:/",
    "https://example.com:-1/",
    "https://example.com\r\nX-Evil: 1/",
    "https://example.com/a\r\nX-Evil: 1",
    "https://example.com/a\n",
    "https://example.com/a b",
    " https://example.com/",
    "https://exam\tple.com/",
    "https://example.com/\x00",
    "https://example.com/\u0085",
    "http://example.com/",
    "file:///etc/passwd",
    "gopher://example.com:6379/_PING",
    "ftp://example.com/a.jpg",
    "data:image/png;base64,AAAA",
    "dict://example.com:11211/",
    "unix:///run/docker.sock",
    "s3://bucket/key",
    "javascript:alert(1)",
    "https://",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_with_a_remedy_even_where_every_host_is_open(url: str) -> None:
    told = refusal(url)
    assert told is not None
    assert ";" in told


@pytest.mark.parametrize(
    ("url", "changes"),
    [
        ("http://example.com/", {"url_input_http": "true"}),
        ("https://example.com:8443/", {"url_input_ports": "443,8443"}),
        ("https://127.0.0.1/", {"url_input_hosts": "127.0.0.1", "outbound_allow": "127.0.0.0/8"}),
        ("https://localhost/", {"url_input_hosts": "localhost"}),
        ("https://a.pictures.internal/", {"url_input_hosts": "*.pictures.internal"}),
    ],
)
def test_the_operator_can_open_more(url: str, changes: dict[str, str]) -> None:
    assert refusal(url) is not None
    assert refusal(url, **changes) is None


def test_what_others_may_call_is_not_open_to_every_url() -> None:
    for host in ("127.0.0.1", "hooks.internal"):
        assert refusal(f"https://{host}/", outbound_allow="127.0.0.0/8,hooks.internal") is not None
    assert refusal("https://127.0.0.1/", url_input_hosts="127.0.0.1") is not None


def test_messages_hold_no_secrets_of_the_url() -> None:
    told = refusal("https://user:secret@example.com/a.jpg?token=secret") or ""
    assert "example.com/a.jpg" in told
    assert "secret" not in told
    assert redact_url("https://example.com/a?X-Signature=secret") == "https://example.com/a"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/a/%E8%99%8E%E6%96%91%E7%8C%AB.jpg?x=/y", "虎斑猫.jpg"),
        ("https://example.com/..%2f..%2fetc%5cpasswd%0a", "passwd"),
        ("https://example.com/", None),
        ("https://example.com", None),
    ],
)
def test_a_picture_is_named_by_the_end_of_its_path(url: str, name: str | None) -> None:
    assert file_name(url) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL_INPUT_HOSTS", "https://example.com"),
        ("URL_INPUT_HOSTS", "exa*mple.com"),
        ("URL_INPUT_HOSTS", "*example.com"),
        ("URL_INPUT_HOSTS", "Example.com"),
        ("URL_INPUT_PORTS", "all"),
        ("URL_INPUT_PORTS", "0"),
    ],
)
def test_a_setting_that_is_written_wrongly_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"GUANWU_{name}="):
        load({f"GUANWU_{name}": value})
