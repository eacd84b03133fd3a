"""What is shown of an address: enough to recognise it, too little to use it."""

from __future__ import annotations

from urllib.parse import urlsplit

from sendwright.policy.address import calling_code

DOTS = "•••"


def masked(address: str) -> str:
    """`+1•••0123`, `a•••@example.org`, `https://example.org/•••`, else the last four characters of a long one."""
    if address.startswith("+"):
        code = calling_code(address) or ""
        return f"+{code}{DOTS}{address[-4:]}" if len(address) > len(code) + 7 else f"+{code}{DOTS}"
    if address.startswith(("http://", "https://")):
        return _masked_url(address)
    local, at, domain = address.rpartition("@")
    if at and local:
        return f"{local[0]}{DOTS}@{domain}"
    return f"{DOTS}{address[-4:]}" if len(address) >= 12 else DOTS


def _masked_url(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return DOTS
    return f"{parts.scheme}://{parts.hostname or ''}/{DOTS}"
