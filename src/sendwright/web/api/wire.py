"""Bytes in, bytes out: headers, bodies and answers on plain ASGI. Knows no route and no meaning.

Every answer has a Request-Id and the headers of `always`. A body is refused as soon as it is too large, never
buffered first; the refused sender then gets a moment to hear the answer (a connection closed under a sender that is
still writing is reset, and the answer lost with it).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from itertools import count
from typing import Any

from sendwright.web.api.problems import MEDIA_TYPE, Refusal, unsupported

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

_ONCE = frozenset({b"idempotency-key"})
"""Headers that are no lists. Two of them are joined by what no value can hold, so that nobody takes them for a third one."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = rb"(%b)=(%b|\"(?:[^\"\\]|\\.)*\")" % (_TOKEN, _TOKEN)  # RFC 9110, section 5.6.6
_PARAMETERS = re.compile(rb"(?:;[ \t]*+(?:%b)?+[ \t]*+)*+" % _PARAMETER)
_EACH = re.compile(rb";[ \t]*+" + _PARAMETER)

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_TRACE = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PREFIX = f"req_{os.urandom(8).hex()}"
_NUMBERS = count(1)

TWICE = b"\0"
"""Between the two values of a header that was to come once."""

LINGER_BYTES = 32 << 20
LINGER_S = 5.0
"""How much, and how long, a refused sender is listened to."""

_ALWAYS: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CSP: Header = (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
_HSTS: Header = (b"strict-transport-security", b"max-age=31536000")


class Gone(Exception):
    """The caller hung up."""


def always(public_url: str, csp: bytes | None = None) -> tuple[Header, ...]:
    """The headers of every answer; with HSTS where we are reached by TLS."""
    policy = _CSP if csp is None else (b"content-security-policy", csp)
    return (*_ALWAYS, policy, _HSTS) if public_url.startswith("https:") else (*_ALWAYS, policy)


def headers_of(fields: Iterable[Header]) -> dict[bytes, bytes]:
    """Headers by lower-case name; one that comes twice is joined by a comma (RFC 9110, section 5.3), where it is a list."""
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        found[name] = value if name not in found else found[name] + (TWICE if name in _ONCE else b", ") + value
    return found


def request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own Request-Id when it is sane, else a new one."""
    given = headers.get(b"request-id")
    if given is not None and _SANE_ID.fullmatch(given):
        return given.decode()
    return f"{_PREFIX}{next(_NUMBERS):08x}"


def trace_of(headers: dict[bytes, bytes]) -> str | None:
    """The `traceparent` (W3C Trace Context, section 3.2); a malformed one is ignored, as it says."""
    given = headers.get(b"traceparent")
    return given.decode() if given is not None and _TRACE.fullmatch(given) else None


def require_json(headers: dict[bytes, bytes]) -> None:
    given = headers.get(b"content-type", b"")
    if given != b"application/json":
        kind, semicolon, parameters = given.partition(b";")
        if kind.strip().lower() != b"application/json" or not _in_utf8(semicolon + parameters):
            raise unsupported("Content-Type", "must be application/json, in UTF-8")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise unsupported("Content-Encoding", "must not be compressed", (b"accept-encoding", b"identity"))


def _in_utf8(parameters: bytes) -> bool:
    """Whether these are parameters, and none of them names another charset. What JSON has none of is ignored (RFC 8259,
    section 11)."""
    charsets = (value for name, value in _EACH.findall(parameters) if name.lower() == b"charset")
    return _PARAMETERS.fullmatch(parameters) is not None and all(c.strip(b'"').lower() == b"utf-8" for c in charsets)


async def read_body(headers: dict[bytes, bytes], receive: Receive, cap: int, within_s: float) -> bytes:
    """The whole body. Refuses one that is too large (413) as soon as that is known, and one that is too slow (408)."""
    declared = headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > cap:
        raise too_large(cap)
    try:
        async with asyncio.timeout(within_s):
            return await _rest(await receive(), receive, cap)
    except TimeoutError:
        headers_out = ((b"connection", b"close"),)
        raise Refusal(408, "slow_body", f"The body did not come within {within_s:g} s.", headers=headers_out) from None


async def _rest(message: Message, receive: Receive, cap: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > cap:
            raise too_large(cap)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def too_large(cap: int) -> Refusal:
    return Refusal(413, "too_large", f"The body must have at most {cap} bytes.", headers=((b"connection", b"close"),), linger=True)


async def answer(send: Send, status: int, headers: Iterable[Header], body: bytes, *, more: bool = False) -> None:
    """One answer. `more`: the caller will end it by `finish`."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode())] if status not in {204, 304} else [*headers],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def refuse(refusal: Refusal, given: str, extra: Iterable[Header], receive: Receive, send: Send) -> None:
    """A problem document. Where the body is still coming, it is listened to for a moment and thrown away."""
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"request-id", given.encode()),
        *extra,
        *refusal.headers,
    ]
    await answer(send, refusal.status, headers, refusal.encoded(given), more=refusal.linger)
    if refusal.linger:
        await _listen(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _listen(receive: Receive) -> None:
    heard = 0
    try:
        async with asyncio.timeout(LINGER_S):
            while heard < LINGER_BYTES:
                message = await receive()
                heard += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
