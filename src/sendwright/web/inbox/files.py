"""Serves the element and its demo page: a few files, read once, open to everybody because nothing in them is anybody's.

The element alone may be loaded by pages of other origins, and be kept by browsers: five minutes without asking, then by its ETag.
https://fetch.spec.whatwg.org/#http-cors-protocol, RFC 9110 section 13.1.2, RFC 9111 section 5.2.2
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files

from msgspec import Struct

from sendwright.web.api.table import Answer, Ask
from sendwright.web.api.wire import Header

SCRIPT_TYPE = "text/javascript; charset=utf-8"
STYLE_TYPE = "text/css; charset=utf-8"
PAGE_TYPE = "text/html; charset=utf-8"

DEMO_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: https: http:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing in line, nothing from elsewhere but the items' pictures, and no markup made of text."""

_FOR_ALL: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"cache-control", b"public, max-age=300"),
    (b"vary", b"accept-encoding"),
)


class _File(Struct, frozen=True):
    """One file, also compressed, and what tells its versions apart."""

    raw: bytes
    packed: bytes
    tag: bytes


@cache
def _file(name: str) -> _File:
    raw = files("sendwright.web.inbox").joinpath(name).read_bytes()
    return _File(raw, gzip.compress(raw, 9, mtime=0), hashlib.blake2b(raw, digest_size=12).hexdigest().encode())


async def inbox_element(ask: Ask) -> Answer:
    """The element, as an ES module."""
    file = _file("sendwright-inbox.js")
    packs = _takes_gzip(ask.headers.get(b"accept-encoding", b""))
    tag = b'"%b%b"' % (file.tag, b"-gzip" if packs else b"")
    kept = (*_FOR_ALL, (b"etag", tag))
    if tag in {given.strip().removeprefix(b"W/") for given in ask.headers.get(b"if-none-match", b"").split(b",")}:
        return Answer(304, media_type=SCRIPT_TYPE, headers=kept)
    if packs:
        return Answer(body=file.packed, media_type=SCRIPT_TYPE, headers=(*kept, (b"content-encoding", b"gzip")))
    return Answer(body=file.raw, media_type=SCRIPT_TYPE, headers=kept)


async def inbox_demo(_: Ask) -> Answer:
    """The page to try it on."""
    return Answer(body=_file("demo.html").raw, media_type=PAGE_TYPE, csp=DEMO_CSP)


async def inbox_demo_script(_: Ask) -> Answer:
    return Answer(body=_file("demo.js").raw, media_type=SCRIPT_TYPE)


async def inbox_demo_style(_: Ask) -> Answer:
    return Answer(body=_file("demo.css").raw, media_type=STYLE_TYPE)


def _takes_gzip(given: bytes) -> bool:
    """RFC 9110, section 12.5.3; `q=0` means no."""
    for part in given.lower().split(b","):
        coding, _, weight = part.strip().partition(b";")
        if coding.strip() == b"gzip":
            return weight.replace(b" ", b"").rstrip(b"0") not in {b"q=", b"q=0."}
    return False
