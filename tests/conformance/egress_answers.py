"""Answers as bytes, and what they are: complete ones, and ones that must never pass for complete."""

from __future__ import annotations

from sendwright.providers.contract import Reply

LONG = 66 * 1024
"""More than any cap that is not raised."""

COMPLETE: dict[str, tuple[bytes, Reply]] = {
    "with a length": (
        b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
        Reply(201, (("content-type", "text/plain"), ("content-length", "2")), b"hi"),
    ),
    "chunked, with an extension and a trailer": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nhi\r\n1\r\n!\r\n0\r\nAfter: all\r\n\r\n",
        Reply(200, (("transfer-encoding", "Chunked"),), b"hi!"),
    ),
    "after an interim answer": (
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        Reply(200, (("content-length", "2"),), b"hi"),
    ),
    "without content": (b"HTTP/1.1 204 No Content\r\n\r\n", Reply(204)),
    "without content, and with a length that says so": (
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        Reply(204, (("content-length", "0"),)),
    ),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", Reply(304)),
    "with no reason, an empty header, blanks around values and names in any case": (
        b"HTTP/1.1 429\r\nX-EMPTY:\r\nreTry-afTer: \t7 \t\r\nContent-Length: 0\r\n\r\n",
        Reply(429, (("x-empty", ""), ("retry-after", "7"), ("content-length", "0"))),
    ),
    "a redirect, which nobody follows": (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        Reply(307, (("location", "http://127.0.0.1:1/"), ("content-length", "0"))),
    ),
    "in a coding, which nobody undoes": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00",
        Reply(200, (("content-encoding", "gzip"), ("content-length", "3")), b"\x1f\x8b\x00"),
    ),
}

ANNOUNCED: dict[str, tuple[bytes, Reply]] = {
    "not modified, with the length of what it would have said": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        Reply(304, (("content-length", "9"),)),
    ),
    "no content, with a length": (
        b"HTTP/1.1 204 No Content\r\nContent-Length: 43\r\n\r\n",
        Reply(204, (("content-length", "43"),)),
    ),
    "no content, in chunks": (
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        Reply(204, (("transfer-encoding", "chunked"),)),
    ),
}
"""Complete, but what they announce may still come, and would be read as another answer."""

UNTIL_CLOSE: dict[str, bytes] = {
    "http 1.1": b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\nhello",
    "http 1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
}

MALFORMED: dict[str, tuple[bytes, str]] = {
    "garbage": (b"\x16\x03\x01 what is this\r\n\r\n", "head"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "head"),
    "http 0.9": (b"<html>hello</html>", "head"),
    "http 2": (b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "http 0.9 with a head": (b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "http 3": (b"HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "no number for a status": (b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", "head"),
    "the same length twice": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "a list of lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", "head"),
    "a length below zero": (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi", "head"),
    "a length with a sign": (b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", "head"),
    "a length beyond all numbers": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhi", "head"),
    "an empty length": (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "head"),
    "a length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "head",
    ),
    "chunks and a length": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "head",
    ),
    "chunked twice": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "head",
    ),
    "an unknown framing": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi", "head"),
    "chunks of another coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "head"),
    "an interim answer with a length": (
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "head",
    ),
    "a chunk whose size is no number": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n", "body"),
    "a chunk longer than its size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n", "body"),
    "a chunk size beyond all numbers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\nhi",
        "body",
    ),
    "a header folded over two lines": (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "a blank before the colon": (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi", "head"),
    "a NUL in a header": (b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "an upgrade": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi", "head"),
    "an upgrade to nothing": (b"HTTP/1.1 101 Switching Protocols\r\n\r\nhi", "head"),
    "a status below 100": (b"HTTP/1.1 042 Odd\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "an upgrade, then an answer": (
        b"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "head",
    ),
}

OVERSIZE: dict[str, tuple[bytes, str]] = {
    "one header": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * LONG + b"\r\nContent-Length: 2\r\n\r\nhi", "head"),
    "one header that never ends": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * LONG, "head"),
    "many headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (LONG // 4) + b"Content-Length: 2\r\n\r\nhi", "head"),
    "interim answers without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * (LONG // 20), "head"),
    "a body with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG + b"x" * LONG, "body"),
    "a body in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"400\r\n" + b"x" * 1024 + b"\r\n") * 66,
        "body",
    ),
    "a body until the close": (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * LONG, "body"),
    "a chunk extension that never ends": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * (10 * LONG),
        "body",
    ),
    "a trailer that never ends": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: " + b"x" * (10 * LONG),
        "body",
    ),
}
