"""HTTP/1.1 on a socket, made for misbehaving on purpose: it can reset, fall silent, drip and flood.

One connection answers one request at a time; a caller that sends the next before the answer is there is refused.
Requests have at most 1 MB, or a little more than the vendor takes, bodies by length or in chunks. A caller that closes
has left, be it only its own half. `stop` lets whole answers out for a second, then cuts.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import cast

import httptools

from sendwright.sandbox.desk import BODY_MAX, Desk
from sendwright.sandbox.log import MessageLog
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.smtp import SmtpServer
from sendwright.sandbox.wire import SILENCE_MAX_S, Cut, Drip, Flood, Reply, Request, Silence, Turn, phrase, problem

HEAD_MAX = 65_536
IDLE_S = 75.0
"""Longest that a connection may rest, or take to send one request, in seconds."""
ANSWER_MAX_S = 2 * SILENCE_MAX_S + 5
"""Longest that an answer may take, its delay included, whatever the fault or the caller's pace, in seconds."""
_SWEEP_S = 5.0
_STOP_S = 1.0
_BACKLOG = 2048
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing then sends a reset."""


class SandboxServer:
    """The sandbox on a port of its own. `log` and `desk` may be looked at by tests and by whoever runs it."""

    def __init__(self, options: SandboxOptions, log: MessageLog | None = None) -> None:
        self.log = MessageLog(options.log_path) if log is None else log
        self.desk = Desk(options, self.log)
        self.connections: set[_Connection] = set()
        self._smtp = SmtpServer(self.desk)
        self._deserted = asyncio.Event()
        self._deserted.set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"SandboxServer({len(self.connections)} connections)"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listens; returns the port. Raises OSError where that can't be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port, backlog=_BACKLOG)
        self._sweep()
        return int(self._server.sockets[0].getsockname()[1])

    async def start_smtp(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listens for mails too; returns the port. Raises OSError where that can't be had."""
        bound = await self._smtp.start(host, port)
        self.desk.smtp_at = (host, bound)
        return bound

    async def stop(self) -> None:
        """Stops listening, finishes what is being answered (a second at most), drops all else. Safe to repeat."""
        if self._server is not None:
            self._server.close()
        await self._smtp.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self.connections):
            connection.retire()
        await self._empty(_STOP_S)
        for connection in tuple(self.connections):
            connection.abort()
        await self.desk.stop()
        await self._empty(_STOP_S)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
        self.log.close()

    def joined(self, connection: _Connection) -> None:
        self.connections.add(connection)
        self._deserted.clear()

    def left(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._deserted.set()

    async def _empty(self, within_s: float) -> None:
        """Until no connection is left, or the time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._deserted.wait()

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in tuple(self.connections):
            if connection.since < now - (ANSWER_MAX_S if connection.answering else IDLE_S):
                connection.abort()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


class _Connection(asyncio.Protocol):
    """One caller's connection."""

    __slots__ = (
        "_chunks", "_fields", "_head_size", "_keep", "_most", "_parser", "_parts", "_pending", "_retiring", "_server", "_size",
        "_target", "_transport", "_turn", "_writable", "since",
    )  # fmt: skip

    def __init__(self, server: SandboxServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._turn: Turn | None = None
        self._pending: asyncio.TimerHandle | None = None
        self._chunks: Iterator[bytes] | None = None
        self._writable = True
        self._keep = True
        self._retiring = False
        self.since = time.monotonic()
        self._clear()

    @property
    def answering(self) -> bool:
        """A request is in hand."""
        return self._turn is not None

    def retire(self) -> None:
        """No further request; ends now if none is in hand, or the one in hand would never be answered."""
        self._retiring = True
        if self._turn is None or isinstance(self._turn.answer, (Silence, Drip, Flood)):
            self.abort()

    def abort(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)
        if self._pending is not None:
            self._pending.cancel()
        self._chunks = None
        self._over()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._keep = False  # the request itself was answered; nothing else is spoken here
            if self._turn is None:
                self._transport.close()
        except httptools.HttpParserCallbackError as error:
            self._refuse(500, "fault", "The sandbox itself has failed.")
            context = {"message": "the sandbox could not answer a request", "exception": error.__context__ or error}
            asyncio.get_running_loop().call_exception_handler(context)
        except httptools.HttpParserError:
            if not self._transport.is_closing():
                self._refuse(400, "not_http", "This is not HTTP/1.1 as the sandbox speaks it.")

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pour()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._turn is not None:
            self._refuse(400, "pipelined", "One request at a time.")
        self._clear()

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._measure(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.lower()] = value
        self._measure(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        self._most = self._server.desk.body_max(self._target.decode("latin-1"))
        if self._fields.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        if self._transport.is_closing():
            return
        self._parts.append(chunk)
        self._size += len(chunk)
        if self._size > self._most:
            self._refuse(413, "too_large", f"A body has at most {self._most:,} bytes here.")

    def on_message_complete(self) -> None:
        if self._transport.is_closing() or self._turn is not None:
            return
        self._keep = self._parser.should_keep_alive()
        path, _, query = self._target.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        request = Request(method, path, query, self._fields, b"".join(self._parts))
        self.since = time.monotonic()
        turn = self._turn = self._server.desk.handle(request)
        if turn.delay_s:
            self._pending = asyncio.get_running_loop().call_later(turn.delay_s, self._await, turn)
        else:
            self._await(turn)

    # What becomes of a turn

    def _await(self, turn: Turn) -> None:
        if turn.after is None or turn.after.done():
            self._act(turn)
        else:
            turn.after.add_done_callback(lambda _: self._act(turn))

    def _act(self, turn: Turn) -> None:
        if self._turn is not turn or self._transport.is_closing():
            return
        match turn.answer:
            case Reply() as reply:
                self._transport.write(self._bytes(reply))
                self._next()
            case Cut():
                self._reset()
            case Silence(seconds):
                self._pending = asyncio.get_running_loop().call_later(seconds, self._transport.close)
            case Drip(reply, every_s):
                self._drip(memoryview(self._bytes(reply)), every_s)
            case Flood() as flood:
                self._keep = False
                self._transport.write(_head(flood.status, flood.size_bytes, ((b"content-type", b"application/json"),), keep=False))
                self._chunks = flood.chunks()
                self._pour()

    def _bytes(self, reply: Reply) -> bytes:
        head = _head(reply.status, len(reply.body), reply.headers, keep=self._keep and not self._retiring)
        return head if reply.status == 304 or self._parser.get_method() == b"HEAD" else head + reply.body

    def _drip(self, left: memoryview, every_s: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(left[:1])
        if len(left) > 1:
            self._pending = asyncio.get_running_loop().call_later(every_s, self._drip, left[1:], every_s)
        else:
            self._next()

    def _pour(self) -> None:
        while self._chunks is not None and self._writable and not self._transport.is_closing():
            chunk = next(self._chunks, None)
            if chunk is None:
                self._chunks = None
                self._next()
                return
            self._transport.write(chunk)

    def _next(self) -> None:
        """The answer is out."""
        self._over()
        if not self._keep or self._retiring:
            self._transport.close()

    def _over(self) -> None:
        turn, self._turn = self._turn, None
        self.since = time.monotonic()
        if turn is not None:
            self._server.desk.ended(turn)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        reply = problem(status, code, detail)
        self._transport.write(_head(reply.status, len(reply.body), reply.headers, keep=False) + reply.body)
        self._transport.close()

    def _reset(self) -> None:
        wire = self._transport.get_extra_info("socket")
        if wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def _clear(self) -> None:
        self._target = b""
        self._fields: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._most = BODY_MAX
        self._head_size = 0

    def _measure(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_MAX and not self._transport.is_closing():
            self._refuse(431, "head", "The head of a request has at most 64 KB.")


def _head(status: int, length: int, headers: tuple[tuple[bytes, bytes], ...], *, keep: bool) -> bytes:
    head = [b"HTTP/1.1 %d %s\r\n" % (status, phrase(status).encode())]
    head += [b"%s: %s\r\n" % header for header in headers]
    body = b"" if status in {204, 304} else b"content-length: %d\r\n" % length
    head.append(b"%sdate: %s\r\n%s\r\n" % (body, _date(), b"" if keep else b"connection: close\r\n"))
    return b"".join(head)


_dated: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    global _dated  # noqa: PLW0603 - one string a second, shared by all answers of that second
    second = int(time.time())
    if _dated[0] != second:
        _dated = (second, formatdate(second, usegmt=True).encode())
    return _dated[1]
