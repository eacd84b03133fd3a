"""A request as it came, and what can become of it: values, which the server on the socket acts out.

Nothing here waits or writes. `Turn` says what and when; server.py and app.py know how.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

SILENCE_MAX_S = 300.0
"""Longest that a caller is kept waiting before the connection ends anyway."""

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json"),)


class Request(Struct, frozen=True, gc=False):
    """One HTTP request. Header names are lower case; a header that repeats keeps its last value."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes
    prefix: str = ""
    """What stands before `path` where the sandbox is mounted under another address."""

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def __repr__(self) -> str:
        return f"Request({self.method} {len(self.body)} bytes)"


class Reply(Struct, frozen=True, gc=False):
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Headers = JSON

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


class Cut(Struct, frozen=True):
    """No answer: the connection is reset."""


class Silence(Struct, frozen=True):
    """No answer for as long as `seconds`, then the connection ends."""

    seconds: float = SILENCE_MAX_S


class Drip(Struct, frozen=True):
    """A whole answer, one byte every `every_s` seconds."""

    reply: Reply
    every_s: float


class Flood(Struct, frozen=True):
    """An answer with a well-formed JSON body of `size_bytes`."""

    status: int
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces of at most 64 KiB."""
        left = self.size_bytes - 1
        yield b'"'
        while left > 1:
            piece = min(left - 1, 65_536)
            left -= piece
            yield b"x" * piece
        yield b'"'


Answer = Reply | Cut | Silence | Drip | Flood


class Turn(Struct, frozen=True):
    """What becomes of one request."""

    answer: Answer
    delay_s: float = 0.0
    """Wait that long first."""
    after: Future[None] | None = None
    """Then wait for this."""
    counted: bool = False
    """It is a message: counts as in flight until it is over."""


def json_reply(status: int, value: object, headers: Headers = ()) -> Reply:
    return Reply(status, msgspec.json.encode(value), JSON + headers)


def json_of(request: Request) -> dict[str, Any] | None:
    """The JSON object of a body that says that it is one; None for anything else."""
    if request.header(b"content-type").partition(";")[0].strip().lower() != "application/json":
        return None
    try:
        found = msgspec.json.decode(request.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def bearer(request: Request) -> str:
    """The token of a request that brings one; empty otherwise."""
    scheme, _, token = request.header(b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def problem(status: int, code: str, detail: str, headers: Headers = ()) -> Reply:
    """A refusal in the form of RFC 9457."""
    body = {"type": "about:blank", "title": phrase(status), "status": status, "code": code, "detail": detail}
    return Reply(status, msgspec.json.encode(body), ((b"content-type", b"application/problem+json"), *headers))


def phrase(status: int) -> str:
    """The reason phrase of a status; empty for one that nobody has named."""
    return _PHRASES.get(status, "")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
