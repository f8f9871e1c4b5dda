"""URLs that jobs may name as inputs, checked as they are written.

Where a host's name leads is seen only when it is fetched; `worker/outbound/http.py` decides that.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from worker.contract.addresses import Allowed, as_address
from worker.contract.errors import UrlNotAllowed
from worker.contract.settings.model import Settings

# One way to read it: no user-info, no percent signs, backslashes or letters beyond ASCII
# in the host, no zone of an IPv6 address, nothing unprintable anywhere.
_LABEL = r"[a-z0-9_](?:[a-z0-9_\-]*[a-z0-9_])?"
_URL = re.compile(
    r"(?P<scheme>https?)://"
    rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?#][^\x00-\x20\x7f-\xa0\\\ud800-\udfff]*)?",
    re.IGNORECASE | re.ASCII,  # without ASCII, [a-z] takes the Kelvin sign for a k
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
# Names that mean something else on every network (RFC 6761, 6762, 8375; ICANN on .internal).
_LOCAL_DOMAINS = (".localhost", ".local", ".internal", ".arpa")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_url(url: str, settings: Settings) -> None:
    """Refuse a URL that jobs may not name.

    Raises:
        UrlNotAllowed: the message says why, without the URL's query.
    """
    if not settings.url_input_hosts:
        raise UrlNotAllowed(
            "URLs are not fetched here; upload the file, or have the operator name hosts in "
            "GUANWU_URL_INPUT_HOSTS"
        )
    match = _URL.fullmatch(url)
    if match is None:
        raise UrlNotAllowed(
            f"{redact_url(url)!r} is not a plain URL; write https://host/path without user or "
            "password, the host in ASCII letters (xn--) without a dot at its end"
        )
    scheme, host = match["scheme"].lower(), match["host"].lower()
    if scheme not in settings.url_schemes:
        raise UrlNotAllowed(f"{redact_url(url)!r} is not encrypted; name it by https://")
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if port not in settings.url_ports:
        raise UrlNotAllowed(
            f"port {port} is not one that is fetched from; have the operator add it to "
            "GUANWU_URL_INPUT_PORTS"
        )
    _check_host(host, settings)


def redact_url(url: str) -> str:
    """A URL for messages and logs: without user-info and query, which may hold secrets."""
    return re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])[:200]


def file_name(url: str) -> str | None:
    """The last part of a URL's path, decoded, fit to be shown; None if there is none."""
    path = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")[2].partition("/")[2]
    last = re.split(r"[/\\]", unquote(path))[-1]
    return _UNPRINTABLE.sub("", last)[-255:] or None


def is_named(url: str, settings: Settings) -> bool:
    """Does the list name a URL's host by more than `*`?

    Only there may a host be one that is not public: that the operator allows an address for
    somebody does not open it to every URL.
    """
    match = _URL.fullmatch(url)
    return match is not None and _is_named(match["host"].lower(), settings)


def _check_host(host: str, settings: Settings) -> None:
    address = as_address(host)
    if address is None and _looks_numeric(host):
        raise UrlNotAllowed(
            f"{host} is neither a name nor an address; write an IPv4 address as four decimal "
            "numbers, an IPv6 address in brackets"
        )
    named = _is_named(host, settings)
    if not named and not ("*" in settings.url_hosts and _may_be_public(host)):
        raise UrlNotAllowed(
            f"{host} is not a host that is fetched from; upload the file, or have the operator "
            "add the host to GUANWU_URL_INPUT_HOSTS"
        )
    allowed = settings.allowed_addresses if named else Allowed()
    if address is not None and not allowed.may_call(address, host=host):
        raise UrlNotAllowed(f"{host} is not a public address; upload the file")


def _looks_numeric(host: str) -> bool:
    """True for hosts that some programs read as an address, each in its own way."""
    last = host.rpartition(".")[2]
    return host.startswith("[") or last.isdecimal() or last.startswith("0x")


def _is_named(host: str, settings: Settings) -> bool:
    rules = settings.url_hosts
    suffixes = tuple(rule.removeprefix("*") for rule in rules if rule.startswith("*."))
    return host in rules or (as_address(host) is None and host.endswith(suffixes))


def _may_be_public(host: str) -> bool:
    if as_address(host) is not None:
        return True
    return "." in host and not host.endswith(_LOCAL_DOMAINS)
