"""Addresses that are called back, taken apart once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from msgspec import Struct

_URL = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?(/[!-~]*|\?[!-~]*)?")
_PORTS = {"http": 80, "https": 443}


class Place(Struct, frozen=True):
    """A callback's address: `target` is path and query as they go into the request line."""

    secure: bool
    host: str
    port: int
    authority: str
    target: str

    @property
    def origin(self) -> tuple[bool, str, int]:
        return self.secure, self.host, self.port

    def allowed(self, hosts: Collection[str]) -> bool:
        """Loopback is; beside it the hosts given, or with `*` any."""
        return self.host in hosts or "*" in hosts or loopback(self.host)

    def __repr__(self) -> str:
        return "Place()"


def place_of(url: str) -> Place | None:
    """The parts of an http or https address; None where it is something else, or holds user names, blanks or controls."""
    found = _URL.fullmatch(url.partition("#")[0])
    if found is None:
        return None
    scheme, host, port, target = found.groups()
    number = int(port or _PORTS[scheme])
    if not 0 < number < 65_536:
        return None
    path = target or "/"
    authority = host if port is None else f"{host}:{port}"
    return Place(scheme == "https", host.strip("[]").lower(), number, authority, path if path[0] == "/" else "/" + path)


def usable(url: str) -> bool:
    return place_of(url) is not None


def loopback(host: str) -> bool:
    """True for `localhost` and the addresses of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
