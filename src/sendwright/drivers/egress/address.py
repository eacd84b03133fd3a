"""Which addresses may be called where the URL is a user's: names are resolved first, then judged, then connected to.

The order is the point. Judging the text of a host fails, because `127.1`, `0x7f.1`, `2130706433` and circled digits
all resolve to this machine; and resolving again to connect lets the name's owner answer differently. So every text
goes through the resolver, the table below judges what came out, and the connector gets those very addresses.

The table is ours: Python 3.11.7's `ipaddress.is_global` holds NAT64, 6to4, IPv4-compatible, site-local and multicast
addresses to be global. It follows IANA's special-purpose registries
(https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry, November 2026), with the
clouds' metadata services beside them. In IPv6 only 2000::/3 is in use for the public, and all else is denied unseen.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from sendwright.errors import Denied

Network = IPv4Network | IPv6Network
SockAddr = tuple[str, int] | tuple[str, int, int, int]

SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""This machine has no more descriptors, memory or ports. That says nothing of the other side, so it is the phase `pool`, as
when every line is in use."""


class Endpoint(NamedTuple):
    """A resolved address, ready for `socket.connect`."""

    family: int
    sockaddr: SockAddr


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


_DENIED_V4 = _networks(
    "0.0.0.0/8",  # this host on this network; 0.0.0.0 connects to loopback
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # shared by carriers' NAT
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local, and most metadata services
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # multicast tunnels
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",  # private
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarking
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and the broadcast address
)
_PUBLIC_V6 = ip_network("2000::/3")
"""Outside of it, and so denied: ::, ::1, IPv4-compatible ::/96, IPv4-mapped ::ffff:0:0/96, NAT64 64:ff9b::/96 and
64:ff9b:1::/48, discard 100::/64, segment routing 5f00::/16, unique local fc00::/7, link-local fe80::/10, site-local
fec0::/10, multicast ff00::/8."""
_DENIED_V6 = _networks(
    "2001::/23",  # protocol assignments: Teredo 2001::/32, benchmarking 2001:2::/48, ORCHID, remote identification
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4: an IPv4 address in disguise
    "2620:4f:8000::/48",  # AS112
    "3fff::/20",  # documentation
)
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, Oracle and others
        "169.254.170.2",  # AWS: credentials of a container
        "169.254.170.23",  # AWS: credentials of a pod
        "169.254.0.23",  # Tencent
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server: a public number
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS: credentials of a pod
        "fd20:ce::254",  # Google
    )
)
"""Denied even inside a network that the operator allows: they hand out credentials to whoever asks."""

_DENIED_PORTS = frozenset({
    1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5432, 5671, 5672, 5900, 5984, 5985, 6000, 6379, 6443,
    6667, 8500, 9042, 9092, 9200, 9300, 10250, 10255, 11211, 15672, 25672, 26379, 27017,
})  # fmt: skip
"""Databases, brokers, caches, orchestrators and remote desktops: what listens there is no webhook."""


def denied(address: IPv4Address | IPv6Address, allow_private: Iterable[Network] = ()) -> bool:
    """Whether users may not have this address called. `allow_private` are the networks that the operator lets them."""
    if address in _METADATA:
        return True
    if any(address in network for network in allow_private):
        return False
    if isinstance(address, IPv4Address):
        return any(address in network for network in _DENIED_V4)
    return address not in _PUBLIC_V6 or any(address in network for network in _DENIED_V6)


def port_denied(scheme: str, port: int) -> bool:
    """443 and 1024 upward by https, 80 and 1024 upward by http, without the ports of well-known inner services."""
    usual = {"https": 443, "http": 80}.get(scheme)
    return usual is None or (port != usual and (port < 1024 or port in _DENIED_PORTS))


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks that the settings name, such as `10.20.0.0/16` or one address. Raises `ValueError`."""
    return tuple(ip_network(text) for text in texts)


def literal(host: str, port: int) -> Endpoint | None:
    """The endpoint that the host spells out itself; None for a name, which has to be looked up."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return Endpoint(socket.AF_INET if address.version == 4 else socket.AF_INET6, (str(address), port))


def checked(endpoints: Iterable[Endpoint], allow_private: Iterable[Network] = ()) -> Sequence[Endpoint]:
    """Of a user's host's addresses those that may be called: connect to one of these, and resolve nothing again.

    Raises `Denied` when there is none."""
    allowed = tuple(allow_private)
    callable_ = [e for e in endpoints if not denied(ip_address(e.sockaddr[0]), allowed)]
    if not callable_:
        raise Denied("this address may not be called")
    return callable_
