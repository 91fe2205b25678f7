"""Which addresses the guard lets through, and that it lets a host through whole or not at all."""

import ipaddress
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.addresses import AddressGuard, DestinationRefused, NameUnresolved, is_public
from notifications.allow_list import AllowList
from notifications.web_urls import parse_url

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:82a::200e"]
PUBLIC += ["64:ff9b::5db8:d822"]  # NAT64 of 93.184.216.34
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),  # noqa: S104
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.0.0.9", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    "168.63.129.16",
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "::ffff:0:127.0.0.1"),
    *("fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1"),
    *("2002:7f00:1::1", "2002:5db8:d822::1", "2001:0:7f00:1::1", "2001:0:5db8:d822:8000:63bf:3fff:fdd2"),
    *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::5db8:d822"),
    *("2606:2800:220:1:0:5efe:7f00:1", "2606:2800:220:1:200:5efe:a00:1"),
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_addresses_that_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_a_v4_address_is_judged_the_same_inside_nat64_and_refused_in_every_other_wrapping(
    v4: ipaddress.IPv4Address,
) -> None:
    number = int(v4)
    assert is_public(ipaddress.IPv6Address((0x64FF9B << 96) | number)) == is_public(v4)
    for wrapped in (number, (0xFFFF << 32) | number, (0x2002 << 112) | (number << 80), (0x20010000 << 96) | number):
        assert not is_public(ipaddress.IPv6Address(wrapped))


def guard_answering(*addresses: str, allowed: str = "") -> AddressGuard:
    return AddressGuard(AllowList.parse(allowed), lambda _host, _port: list(addresses))


def check(guard: AddressGuard, url: str) -> list[str]:
    return guard.check(parse_url(url), timeout_s=5)


def test_a_public_host_passes_with_each_of_its_addresses() -> None:
    assert check(guard_answering("1.1.1.1", "1.0.0.1", "1.1.1.1"), "https://example.com/") == ["1.1.1.1", "1.0.0.1"]


@pytest.mark.parametrize("others", [["10.0.0.1", "1.1.1.1"], ["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::ffff:1.0.0.1"]])
def test_one_private_address_refuses_the_whole_host(others: list[str]) -> None:
    with pytest.raises(DestinationRefused, match="not public"):
        check(guard_answering(*others), "https://example.com/")


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_literal_addresses_are_judged_too_and_never_resolved(text: str) -> None:
    url = f"http://[{text}]/" if ":" in text else f"http://{text}/"
    with pytest.raises(DestinationRefused):
        check(guard_answering("1.1.1.1"), url)


def test_the_allow_list_opens_named_hosts_and_networks_only() -> None:
    allowed = "Relay.internal, 10.1.0.0/16 ,::1"
    assert check(guard_answering("192.168.0.9", allowed=allowed), "http://relay.INTERNAL./") == ["192.168.0.9"]
    assert check(guard_answering("10.1.2.3", "::1", allowed=allowed), "http://a.example/") == ["10.1.2.3", "::1"]
    for refused in ("10.2.0.1", "::ffff:10.1.0.1"):
        with pytest.raises(DestinationRefused):
            check(guard_answering(refused, allowed=allowed), "http://a.example/")
    with pytest.raises(DestinationRefused):
        check(guard_answering("192.168.0.9", allowed=allowed), "http://sub.relay.internal/")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "1.2.3", "host/24"])
def test_an_allow_list_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="PILOTHOUSE_ALLOWED_ADDRESSES"):
        AllowList.parse(text)


def test_a_name_without_addresses_may_have_some_later() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("no such host")

    for guard in (guard_answering(), AddressGuard(AllowList(), unknown)):
        with pytest.raises(NameUnresolved):
            check(guard, "http://a.example/")


def test_an_answer_that_is_no_address_is_refused() -> None:
    with pytest.raises(DestinationRefused):
        check(guard_answering("a.example"), "http://a.example/")


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    hanging = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        hanging.wait(60)
        return ["1.1.1.1"]

    with pytest.raises(NameUnresolved, match="longer"):
        AddressGuard(AllowList(), hang).check(parse_url("http://a.example/"), timeout_s=0.05)
    hanging.set()
