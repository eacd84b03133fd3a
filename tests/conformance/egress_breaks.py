"""Where an exchange breaks and how, as scripts for the server; and requests that must never leave."""

from __future__ import annotations

from sendwright.providers.contract import HttpRequest
from tests.conformance.egress_clients import post
from tests.conformance.egress_server import Peer, Script


def after(said: bytes) -> Script:
    """Reads the whole request and says this much of an answer."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.say(said)

    return script


def in_turn(*scripts: Script) -> Script:
    return lambda peer: [script(peer) for script in scripts]


# How far the exchange has come when it breaks, and how it breaks.
STAGES: dict[str, tuple[Script, str]] = {
    "while the request is written": (lambda peer: peer.take(1000), "write"),
    "before the first byte of the answer": (Peer.request, "wait"),
    "in the status line": (after(b"HTTP/1.1 2"), "head"),
    "in the head": (after(b"HTTP/1.1 200 OK\r\nContent-Le"), "head"),
    "after an interim answer": (after(b"HTTP/1.1 100 Continue\r\n\r\n"), "head"),
    "in the body": (after(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "body"),
    "between chunks": (after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"), "body"),
    "before the last line of the chunks": (after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"), "body"),
}
BREAKS: dict[str, Script] = {"resets": Peer.reset, "closes": Peer.close, "hangs": Peer.hang}


SAFE = post("http://127.0.0.1:PORT/")
UNSAFE = {
    "a line end in a value": post(SAFE.url, b"", ("X", "a\r\nEvil: b")),
    "a bare line feed in a value": post(SAFE.url, b"", ("X", "a\nEvil: b")),
    "a NUL in a value": post(SAFE.url, b"", ("X", "a\0b")),
    "a line end in a name": post(SAFE.url, b"", ("X\r\nEvil", "b")),
    "a colon in a name": post(SAFE.url, b"", ("X: y\t", "b")),
    "no name": post(SAFE.url, b"", ("", "b")),
    "a letter that Latin-1 lacks": post(SAFE.url, b"", ("X", "\u20ac")),
    "a line end in the target": post(f"{SAFE.url}a\r\nEvil: b"),
    "a blank in the target": post(f"{SAFE.url}a HTTP/1.1"),
    "a tab in the host": post("http://127.0.0.1\t:PORT/"),
    "a backslash": post("http://127.0.0.1:PORT\\@example.com/"),
    "a user": post("http://user:key@127.0.0.1:PORT/"),
    "text after a bracket": post("http://[::1]a:PORT/"),
    "a zone": post("http://[fe80::1%25lo]:PORT/"),
    "no host": post("http:///path"),
    "no scheme": post("//127.0.0.1:PORT/"),
    "another scheme": post("file:///etc/hosts"),
    "a port beyond all ports": post("http://127.0.0.1:65536/"),
    "port zero": post("http://127.0.0.1:0/"),
    "a line end in the method": HttpRequest("GET / HTTP/1.1\r\nX:", SAFE.url),
    "a tunnel": HttpRequest("CONNECT", SAFE.url),
    "a wrong length": post(SAFE.url, b"four", ("content-length", "5")),
    "a framing of its own": post(SAFE.url, b"four", ("Transfer-Encoding", "chunked")),
}
