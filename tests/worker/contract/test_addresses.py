from __future__ import annotations

from ipaddress import ip_address

import pytest

from worker.contract.addresses import Allowed, is_public
from worker.contract.errors import SettingsInvalid
from worker.contract.settings.environment import load

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "64:ff9b::808:808"]
PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
METADATA = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fd00:ec2::254",
    "100.100.100.200",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert Allowed().may_call(ip_address(address), host="a.example")


@pytest.mark.parametrize("address", PRIVATE + METADATA)
def test_addresses_that_are_not_public_may_not(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not Allowed().may_call(ip_address(address), host="a.example")


def test_what_the_operator_allows_may_be_called_however_it_is_spelled() -> None:
    allowed = Allowed.parse("10.1.0.0/16, fd12::/16,Hooks.internal")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        assert allowed.may_call(ip_address(address), host="a.example")
        assert allowed.names(address)
    assert not allowed.may_call(ip_address("10.2.0.1"), host="a.example")
    assert allowed.may_call(ip_address("10.2.0.1"), host="hooks.INTERNAL.")
    assert not allowed.names("other.internal")


@pytest.mark.parametrize("address", METADATA)
def test_credentials_of_a_cloud_are_out_of_reach_whatever_is_allowed(address: str) -> None:
    everything = Allowed.parse("0.0.0.0/0,::/0,metadata.internal")
    assert not everything.may_call(ip_address(address), host="metadata.internal")


def test_setting_that_is_neither_network_nor_host_stops_the_start() -> None:
    with pytest.raises(SettingsInvalid, match=r"GUANWU_OUTBOUND_ALLOW.*10\.1\.0\.0/99"):
        load({"GUANWU_OUTBOUND_ALLOW": "10.1.0.0/99"})
