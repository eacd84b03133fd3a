"""HTTP/1.1 as bytes: a request written once, answers read one after the other. No socket, no clock, no waiting.

Writing (RFC 9112, RFC 9110):
  a URL is parsed once, and that one reading gives the address, the Host header, the TLS name and the target;
  a request that could be read in two ways (a control character in the target or a header, a second framing) is a
  `ValueError`, whose text never repeats what was wrong with it.
Reading:
  a `Reply` is a complete answer and nothing else is; interim answers (1xx) are passed over;
  an answer whose length can be understood in two ways, that is malformed, of another version than HTTP/1, or larger than
  its caps, is `Lost`;
  a line is used again only when it is certain that nothing more of this answer can come;
  no redirect is followed, no cookie kept, no coding undone: the body is what the other side wrote.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import httptools
from msgspec import Struct

from sendwright import __version__
from sendwright.providers.contract import HttpRequest, Lost, Reply

HEAD_CAP = 64 * 1024
"""Longest head of an answer, interim ones and trailers included, in bytes."""
BODY_CAP = 64 * 1024
"""Longest body of an answer where a route says nothing else, in bytes."""

_OVERHEAD = 8
"""Bytes on the wire per byte of body, at most: a chunk of one byte takes six."""
_PORTS = {"http": 80, "https": 443}
_USER_AGENT = f"sendwright/{__version__}"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_HOST = re.compile(r"[0-9A-Za-z_.\-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*").fullmatch
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f\\]").search
_UNSAFE_IN_VALUE = re.compile(r"[\r\n\0]").search
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
_NO_CONTENT = frozenset({204, 304})
_EMPTY = frozenset({None, "0"})
"""What an answer without a body may say of its length."""
_VERSIONS = frozenset({"1.0", "1.1"})


class Origin(NamedTuple):
    """Where a line goes. `host` is ASCII, without brackets; a name, or an address as the URL wrote it."""

    scheme: str
    host: str
    port: int


class Encoded(Struct, frozen=True):
    """A request as it goes on the wire, head and body in one piece."""

    origin: Origin
    method: str
    data: bytes

    def __repr__(self) -> str:
        return f"Encoded({self.method} {len(self.data)} bytes)"


@lru_cache(maxsize=2048)
def parse_url(url: str) -> tuple[Origin, str, str]:
    """(origin, Host header, target) of an absolute http or https URL. Raises `ValueError`.

    Stricter than RFC 3986 where readers are known to disagree: no user info, no backslash, no space, no zone in an
    IPv6 literal. A host in other letters becomes its IDNA form, a path in other letters is percent-encoded."""
    if _UNSAFE_IN_URL(url):
        raise ValueError("the URL holds a control character, a space or a backslash")
    try:
        parts = urlsplit(url)
        written, port = parts.hostname or "", parts.port
        host = written if written.isascii() else written.encode("idna").decode("ascii").lower()
    except ValueError:
        raise ValueError("the URL can't be parsed") from None
    if parts.scheme not in _PORTS:
        raise ValueError("the URL is neither http nor https")
    # What is left of the authority beside host and port (user info, text after a bracket) is read in as many ways as
    # there are parsers.
    if parts.netloc.lower() not in {_authority(written, None), _authority(written, port)} or not _HOST(host) or port == 0:
        raise ValueError("the URL's host or port can't be used")
    usual = _PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = target if target.isascii() else quote(target, safe="%/:?#[]@!$&'()*+,;=~-._")
    return Origin(parts.scheme, host, port or usual), _authority(host, None if port == usual else port), target


def _authority(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def encode(request: HttpRequest) -> Encoded:
    """The request in bytes. Host, User-Agent and Content-Length are added unless given. Raises `ValueError`."""
    method, body = request.method, request.body
    try:
        head = _head(method, request.url, request.headers)
    except TypeError:  # an adapter gave them as lists
        head = _head(method, request.url, tuple((name, value) for name, value in request.headers))
    if head.length is not None and head.length != str(len(body)):
        raise ValueError("a header contradicts the length of the body")
    if head.length is None and (body or method not in _BODILESS):
        return Encoded(head.origin, method, b"%bContent-Length: %d\r\n\r\n%b" % (head.data, len(body), body))
    return Encoded(head.origin, method, b"%b\r\n%b" % (head.data, body))


class _Head(NamedTuple):
    """A request's head but for its last line."""

    origin: Origin
    data: bytes
    length: str | None
    """The Content-Length that it already states."""


@lru_cache(maxsize=512)
def _head(method: str, url: str, headers: tuple[tuple[str, str], ...]) -> _Head:
    """An account's calls differ in their bodies, seldom in their heads."""
    origin, host, target = parse_url(url)
    if not _TOKEN(method) or method == "CONNECT":
        raise ValueError("the method can't be used")
    lines = [f"{method} {target} HTTP/1.1"]
    given: set[str] = set()
    length: str | None = None
    for name, value in headers:
        if not _TOKEN(name) or _UNSAFE_IN_VALUE(value):
            raise ValueError("a header's name or value holds a character that it must not")
        key = name.lower()
        if key == "content-length":
            length = value if length in (None, value) else ""
        if key == "transfer-encoding" or length == "":
            raise ValueError("a header contradicts the length of the body")
        given.add(key)
        lines.append(f"{name}: {value}")
    if "host" not in given:
        lines.insert(1, f"Host: {host}")
    if "user-agent" not in given:
        lines.append(f"User-Agent: {_USER_AGENT}")
    try:
        data = "\r\n".join((*lines, "")).encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("a header holds a letter outside Latin-1") from None
    return _Head(origin, data, length)


class _Fault(Exception):
    """Ends the parser's run; the reader has noted what is wrong."""


class AnswerReader:
    """Reads the answers of one connection. `expect` before each request, then `feed` until it returns something."""

    __slots__ = (
        "_answer",
        "_bodiless",
        "_body",
        "_body_cap",
        "_fault",
        "_head_size",
        "_headers",
        "_in_body",
        "_length",
        "_parser",
        "_received",
        "_size",
        "_until_close",
        "reusable",
    )  # fmt: skip

    def __init__(self, body_cap: int = BODY_CAP) -> None:
        self._body_cap = body_cap
        self._parser = httptools.HttpResponseParser(self)
        self._bodiless = False
        self.expect("GET")

    def expect(self, method: str) -> None:
        """Makes ready for the answer to a request of this method."""
        if self._bodiless:
            # The parser can't be told that an answer has no body, so after HEAD it still waits for one.
            self._parser = httptools.HttpResponseParser(self)
        self._answer: Reply | None = None
        self._fault = ""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = self._received = self._head_size = 0
        self._in_body = self._until_close = False
        self._length: str | None = None
        self._bodiless = method == "HEAD"
        self.reusable = False

    @property
    def phase(self) -> str:
        """How far the answer has come: `wait`, `head` or `body`."""
        if self._in_body:
            return "body"
        return "head" if self._received else "wait"

    def feed(self, data: bytes) -> Reply | Lost | None:
        """Takes what came. A reply or a loss ends the exchange; None waits for more."""
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.reusable = False
            return self._answer or Lost(self.phase, self._fault or "malformed answer")
        if self._answer is None:
            return self._oversize()
        return self._answer

    def _oversize(self) -> Lost | None:
        """Counts raw bytes too: the parser keeps an unfinished header, and shows nothing of it."""
        if not self._in_body:
            return Lost("head", "too large") if self._received > HEAD_CAP else None
        return Lost("body", "too large") if self._received > HEAD_CAP + _OVERHEAD * self._body_cap else None

    def end(self) -> Reply | None:
        """The other side has finished properly. That completes a body without a length, and nothing else."""
        return self._complete() if self._until_close else None

    def _complete(self) -> Reply:
        self._answer = Reply(self._parser.get_status_code(), tuple(self._headers), b"".join(self._body))
        return self._answer

    def _fail(self, fault: str) -> None:
        self._fault = fault
        raise _Fault

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        if self._answer is not None:
            self.reusable = False  # more than was asked for: whose answer that is, nobody can tell

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if self._head_size > HEAD_CAP:
            self._fail("too large")
        if self._in_body:
            return  # a trailer
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").rstrip(" \t")
        if key in {"content-length", "transfer-encoding"}:
            if self._length is not None or (key[0] == "t" and text.lower() != "chunked"):
                self._fail("its length is ambiguous")
            self._length = text
        self._headers.append((key, text))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 100 or self._parser.get_http_version() not in _VERSIONS:
            self._fail("malformed answer")
        if status < 200:
            if self._length not in _EMPTY:
                self._fail("its length is ambiguous")
            return  # an interim answer; of an upgrade, which nobody asked for, the parser makes an error
        if self._answer is not None:
            self._fail("more than one answer")
        self._in_body = True
        if self._bodiless:
            self.reusable = self._parser.should_keep_alive()
            self._complete()
        else:
            self._until_close = self._length is None and status not in _NO_CONTENT

    def on_body(self, data: bytes) -> None:
        if self._answer is not None:
            self._fail("a body where there is none")
        self._size += len(data)
        if self._size > self._body_cap:
            self._fail("too large")
        self._body.append(data)

    def on_message_complete(self) -> None:
        if not self._in_body:
            self._headers = []
            self._length = None
        elif self._answer is None:
            # A 204 or 304 ends with its head, whatever that says; what it announced may come all the same.
            certain = self._parser.get_status_code() not in _NO_CONTENT or self._length in _EMPTY
            self.reusable = certain and self._parser.should_keep_alive()
            self._complete()
