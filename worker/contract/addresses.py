"""Network addresses that Guanwu may call when a client names them.

Public ones alone, and those that the operator allows. What hides a private address inside
another (IPv4-mapped, NAT64) is unpacked first; 6to4 and Teredo are refused whole. Addresses
under which clouds give out credentials are refused whatever is allowed.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import httpx

from worker.contract.errors import AddressForbidden

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_\-]*[a-z0-9_])?(\.[a-z0-9_\-]+)*", re.ASCII)
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")  # all of IPv6 that is global, but for the exceptions below
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # containers of AWS
            "169.254.170.23",
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",  # Google Cloud
        ),
    )
)
# The registries of special-purpose addresses (RFC 6890 and its successors), spelled out:
# `is_global` differs between patch releases of Python.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "2001::/23",  # Teredo among others
            "2001:db8::/32",
            "2002::/16",  # 6to4
            "3fff::/20",
        ),
    )
)


@dataclass(frozen=True)
class Allowed:
    """Networks and hosts that an operator allows beside public addresses."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """`10.1.0.0/16,hooks.internal`, comma-separated.

        Raises:
            ValueError: a part is neither network nor host.
        """
        parts = [part.strip().lower() for part in text.split(",") if part.strip()]
        networks = {part: _network(part) for part in parts}
        hosts = [part for part, network in networks.items() if network is None]
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no network and no host; write 10.1.0.0/16,host.name")
        return cls(tuple(n for n in networks.values() if n is not None), frozenset(hosts))

    def names(self, host: str) -> bool:
        """Is the host, a name or an address, allowed as it is written?"""
        literal = as_address(host)
        if literal is None:
            return host.lower().rstrip(".") in self.hosts
        return any(_unpack(literal) in network for network in self.networks)

    def may_call(self, address: Address, *, host: str) -> bool:
        """May Guanwu connect to this address, which `host` was resolved to?"""
        address = _unpack(address)
        if address in _METADATA:
            return False
        inside = any(address in network for network in self.networks)
        return inside or self.names(host) or is_public(address)


def parse_url(text: str) -> httpx.URL:
    """A URL in the one form in which it is checked and called.

    Raises:
        AddressForbidden: it is none, has another scheme than http and https, or a user.
    """
    try:
        url = httpx.URL(text)
        host = url.host  # decoded here, and not every xn-- can be
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise AddressForbidden("that is no URL; write https://host/path") from exc
    if url.scheme not in ("http", "https") or not host:
        raise AddressForbidden("a URL begins with https://host or http://host")
    if url.port is not None and not 0 < url.port < 65_536:
        raise AddressForbidden("a URL's port is from 1 to 65535")
    if url.userinfo:
        raise AddressForbidden("a URL must not carry a user or password; leave out what ends in @")
    return url.copy_with(fragment=None)


def is_public(address: Address) -> bool:
    """Is it a unicast address of the public internet?"""
    address = _unpack(address)
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and (address.version == 4 or address in _UNICAST)


def as_address(host: str) -> Address | None:
    """The address that `host` spells in its usual form; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _unpack(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
