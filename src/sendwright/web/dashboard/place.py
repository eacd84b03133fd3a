"""Where a browser reached us, and whether a request was made by a page of ours.

A session's cookie must not travel where others can read along. So there is a dashboard in two places only: on this machine's own
addresses, and at the `public_url` where that is https. Any other Host is refused, which also keeps out pages whose name was
made to point here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from sendwright.web.api.problems import Refusal

_PORTS = {"http": 80, "https": 443}


class Place(Struct, frozen=True):
    """`origin` as browsers say it: scheme, host, and the port where it is not the usual one."""

    origin: str
    secure: bool


def place_of(headers: Mapping[bytes, bytes], public_url: str) -> Place:
    """Raises `Refusal` (421) where there is no dashboard."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    public = urlsplit(public_url)
    if public.scheme == "https" and _named(host, "https") == _named(public.netloc.lower(), "https"):
        return Place(_origin("https", host), secure=True)
    if is_loopback(host):
        return Place(_origin("http", host), secure=False)
    raise Refusal(
        421,
        "not_here",
        "The dashboard is served over HTTPS at the address that [api] public_url names, and on this machine itself. "
        "From elsewhere, set public_url to an https address, or open a tunnel: ssh -L 8420:127.0.0.1:8420 your-server",
    )


def require_own(headers: Mapping[bytes, bytes], place: Place) -> None:
    """Refuses (403) a request that no page of ours made.

    A form of a page with `no-referrer` says `Origin: null` (Fetch, section 3.2), and then it is `Sec-Fetch-Site` that tells.
    Browsers send that to every place that there is a dashboard in; a program that sends neither is refused."""
    origin = headers.get(b"origin", b"null").decode("latin-1")
    site = headers.get(b"sec-fetch-site")
    same = origin == place.origin
    if (origin != "null" and not same) or site not in (None, b"same-origin") or not (same or site == b"same-origin"):
        raise Refusal(403, "foreign_origin", "This was not sent by a page of the dashboard.")


def _origin(scheme: str, host: str) -> str:
    return f"{scheme}://{host.removesuffix(f':{_PORTS[scheme]}')}"


def _named(host: str, scheme: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname, parts.port or _PORTS[scheme]
    except ValueError:
        return None, None


def is_loopback(host: str) -> bool:
    """Of a Host header's value."""
    name, _ = _named(host, "http")
    if name is None:
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
