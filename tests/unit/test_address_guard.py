"""Which addresses and ports a user's URL may lead to. The resolver is a stub; nothing is connected."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.drivers.egress.address import Endpoint, denied, networks, port_denied
from sendwright.drivers.egress.names import Names
from sendwright.drivers.egress.wire import parse_url
from sendwright.errors import Denied, Unreachable

DENIED = (
    "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.0.1 169.254.169.254 "
    "169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 "
    "198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 100.100.100.200 168.63.129.16 "
    ":: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 "
    "64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 "
    "3fff::1 5f00::1 fc00::1 fd00::1 fd00:ec2::254 fe80::1 febf::1 fec0::1 feff::1 ff02::1 4000::1 8000::1"
)
PUBLIC = (
    "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.0 "
    "172.15.255.255 172.32.0.0 192.0.1.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 "
    "2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2a00:1450:4001:80b::200e 3ffe::1"
)
DENIED_ONES, PUBLIC_ONES = DENIED.split(" "), PUBLIC.split(" ")


@pytest.mark.parametrize("text", DENIED_ONES)
def test_an_address_for_a_special_use_is_denied(text: str) -> None:
    assert denied(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC_ONES)
def test_an_address_of_the_public_is_not_denied(text: str) -> None:
    assert not denied(ip_address(text))


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_an_inner_address_is_denied_in_every_disguise_of_ipv6(inner: object) -> None:
    number = int(inner)  # type: ignore[call-overload]
    for prefix in (0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96, (0x64FF9B << 96) | (1 << 80)):
        assert denied(ip_address((prefix | number).to_bytes(16)))
    assert denied(ip_address(((0x2002 << 112) | (number << 80)).to_bytes(16)))
    assert denied(ip_address(((0x20010000 << 96) | (number ^ 0xFFFFFFFF)).to_bytes(16)))


def test_the_operators_networks_are_allowed_and_nothing_beside_them() -> None:
    allowed = networks(("10.20.0.0/16", "fd12::/16"))
    assert not denied(ip_address("10.20.1.1"), allowed)
    assert not denied(ip_address("fd12::1"), allowed)
    assert denied(ip_address("10.21.0.1"), allowed)
    assert denied(ip_address("::ffff:10.20.1.1"), allowed)


def test_metadata_services_are_denied_even_inside_the_operators_networks() -> None:
    everything = networks(("0.0.0.0/0", "::/0"))
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"):
        assert denied(ip_address(text), everything)
    assert not denied(ip_address("169.254.1.1"), everything)


@pytest.mark.parametrize(
    ("scheme", "port", "refused"),
    [
        ("https", 443, False), ("https", 8443, False), ("https", 1024, False), ("https", 65535, False),
        ("http", 80, False), ("http", 8080, False),
        ("https", 80, True), ("http", 443, True), ("https", 22, True), ("https", 25, True), ("http", 1023, True),
        ("https", 6379, True), ("https", 11211, True), ("http", 5432, True), ("http", 2375, True), ("ftp", 2121, True),
    ],
)  # fmt: skip
def test_only_the_ports_of_the_web_and_high_ones_may_be_called(scheme: str, port: int, refused: bool) -> None:
    assert port_denied(scheme, port) == refused


def resolver(*found: str | Exception) -> Names:
    """Names whose resolver answers these addresses, or fails like that."""

    def ask(_: str) -> Sequence[Endpoint]:
        if isinstance(found[0], Exception):
            raise found[0]
        families = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [Endpoint(families[ip_address(text).version], (str(text), 0)) for text in found]

    return Names(ask)


async def test_a_name_is_pinned_to_the_addresses_that_were_checked() -> None:
    names = resolver("8.8.8.8", "2606:4700:4700::1111")
    endpoints = await names.find_checked("hooks.example.com", 443)
    assert [endpoint.sockaddr for endpoint in endpoints] == [("8.8.8.8", 443), ("2606:4700:4700::1111", 443)]


async def test_of_a_names_addresses_only_the_public_ones_are_called() -> None:
    names = resolver("127.0.0.1", "8.8.8.8", "fd00::1")
    assert [endpoint.sockaddr[0] for endpoint in await names.find_checked("hooks.example.com", 443)] == ["8.8.8.8"]


@pytest.mark.parametrize("text", ["127.0.0.1", "169.254.169.254", "64:ff9b::7f00:1"])
async def test_a_name_that_leads_inside_is_denied_without_being_repeated(text: str) -> None:
    names = resolver(text)
    with pytest.raises(Denied) as refusal:
        await names.find_checked("hooks.example.com", 443)
    assert refusal.value.phase == "resolve"
    assert "example" not in str(refusal.value)
    assert text not in str(refusal.value)


async def test_the_operators_network_may_be_called_by_name() -> None:
    names = resolver("10.20.0.5")
    assert len(await names.find_checked("hooks.internal", 8080, networks(("10.20.0.0/16",)), scheme="http")) == 1


async def test_a_name_that_cant_be_resolved_is_unreachable_but_not_denied() -> None:
    names = resolver(Unreachable("resolve", "no such name"))
    with pytest.raises(Unreachable) as refusal:
        await names.find_checked("hooks.example.com", 443)
    assert not isinstance(refusal.value, Denied)
    assert refusal.value.phase == "resolve"


async def test_a_literal_address_is_not_looked_up() -> None:
    names = resolver(AssertionError("looked up"))
    assert (await names.find_checked("2606:4700:4700::1111", 443))[0].family == socket.AF_INET6
    with pytest.raises(Denied):
        await names.find_checked("::1", 443)


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "017700000001", "0", "127.0.0.1.", "①②⑦.0.0.1", "ⓛocalhost"])
async def test_every_spelling_of_this_machine_is_denied(host: str) -> None:
    origin, _, _ = parse_url(f"https://{host}:8443/")
    with pytest.raises(Unreachable):
        await Names().find_checked(origin.host, origin.port)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com@127.0.0.1/", "https://127.0.0.1\\@hooks.example.com/", "https://hooks.example.com\t/",
        "https://hooks.example.com\r\nHost: x/", "https://hooks.example.com%00.internal/", "https://[::1]hooks.example.com/",
        "https://[fe80::1%25eth0]/", "https://hooks.example.com:443:80/", "https:///hooks", "https:hooks.example.com",
        "unix:///run/docker.sock", "file:///etc/hosts", "gopher://127.0.0.1:6379/_x", "//hooks.example.com/", "hooks.example.com",
        "https://", "https://?", "https://#@hooks.example.com/", "https://hooks.example.com:0/", "https://a..b@c/", "",
    ],
)  # fmt: skip
def test_a_url_that_parsers_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse_url(url)


@given(st.text(alphabet=st.sampled_from("ahtps:/@\\#?%[].0127 \r\n\t\0é①xF"), max_size=30))
def test_a_parsed_url_has_one_ascii_host_and_a_target_on_one_line(text: str) -> None:
    for prefix in ("", "http://", "https://a"):
        try:
            origin, host, target = parse_url(prefix + text)
        except ValueError:
            continue
        assert origin.host
        assert (origin.host + host + target).isascii()
        assert not set(origin.host + host + target) & set(" \r\n\t\0\\")
        assert target.startswith("/")
        assert 0 < origin.port < 65536
