"""The provider of every benchmark: takes a post, waits as long as it was told, answers. One for everybody.

    python -m bench.mock [--delay-ms 0]      prints its port, then serves on 127.0.0.1 until it is ended

Twilio's address is answered 201 with a SID, any other 200 with an id. It keeps counts and nothing else, so that little
of the machine goes to it; the sandbox, which remembers and misbehaves, would cost as much as what is measured.

    GET /stats                  {"n", "first", "last", "in_flight", "most_in_flight", "delay_ms"}, times in Unix seconds
    GET /reset?delay_ms=50      forgets all of that; the delay stays unless given
    GET /arrivals               {"17": Unix seconds}: when the request whose body holds `otp-17` was read
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import time
from functools import partial
from urllib.parse import parse_qs, urlsplit

import httptools
import uvloop

_MARK = re.compile(rb"otp-(\d+)")
_TWILIO = b"/2010-04-01/"


class Provider:
    """What was asked of it since the last reset."""

    def __init__(self, delay_ms: float) -> None:
        self.delay_s = delay_ms / 1000
        self.in_flight = 0
        self.forget()

    def forget(self) -> None:
        self.n = self.most = 0
        self.first = self.last = 0.0
        self.arrivals: dict[int, float] = {}

    def taken(self, body: bytes) -> None:
        now = time.time()
        self.n += 1
        self.first = self.first or now
        self.last = now
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        mark = _MARK.search(body)
        if mark is not None:
            self.arrivals[int(mark[1])] = now

    def look(self, path: str, query: str) -> object:
        """The answer of a GET."""
        if path == "/arrivals":
            return self.arrivals
        if path == "/reset":
            self.delay_s = float(parse_qs(query).get("delay_ms", [self.delay_s * 1000])[0]) / 1000
            self.forget()
        return {
            "n": self.n,
            "first": self.first,
            "last": self.last,
            "in_flight": self.in_flight,
            "most_in_flight": self.most,
            "delay_ms": self.delay_s * 1000,
        }


class _Connection(asyncio.Protocol):
    """One caller's connection; requests come one after the other."""

    __slots__ = ("_body", "_parser", "_provider", "_transport", "_url")

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        provider = self._provider
        if self._parser.get_method() == b"GET":
            parts = urlsplit(self._url.decode())
            self._write(b"200 OK", json.dumps(provider.look(parts.path, parts.query)).encode())
            return
        provider.taken(self._body)
        if provider.delay_s:
            asyncio.get_running_loop().call_later(provider.delay_s, self._answer, provider.n)
        else:
            self._answer(provider.n)

    def _answer(self, number: int) -> None:
        self._provider.in_flight -= 1
        if self._url.startswith(_TWILIO):
            self._write(b"201 Created", b'{"sid":"SM%032x","status":"queued","error_code":null,"error_message":null}' % number)
        else:
            self._write(b"200 OK", b'{"id":"%032x","status":"queued"}' % number)

    def _write(self, status: bytes, body: bytes) -> None:
        if not self._transport.is_closing():
            head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self._transport.write(head + body)  # type: ignore[attr-defined]


async def _serve(delay_ms: float) -> None:
    provider = Provider(delay_ms)
    server = await asyncio.get_running_loop().create_server(partial(_Connection, provider), "127.0.0.1", 0, backlog=4096)
    gc.freeze()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="the provider of the benchmarks")
    asked.add_argument("--delay-ms", type=float, default=0)
    uvloop.run(_serve(asked.parse_args().delay_ms))
