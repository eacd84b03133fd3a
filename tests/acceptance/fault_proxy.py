"""A line that fails on request, between any two that speak TCP: our processes and the database, the broker, a provider.

Runs in a thread of its own, so that tests may block. What is set holds at once, for lines that are open and for those to come, and
for each direction by itself: `up` is what the caller says, `down` what it is answered.

Everything listens on 127.0.0.1, and a proxy ends with its `with`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CLOSES_S = 5
PIECE = 65_536
SLICES_S = 0.05
"""A slow line carries a slice so often."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one direction. Nothing is lost or overtaken in it: that is what TCP promises even of bad lines."""

    late_s: float = 0.0
    """Each piece is that late, in seconds."""
    bytes_s: float | None = None
    """Carries so many bytes a second."""
    hole: bool = False
    """Carries nothing, and says nothing. What was sent meanwhile comes when it is mended."""
    cut_after: int | None = None
    """After so many more bytes, counted by line from now on, the line is reset."""


WELL = Fault()
HOLE = Fault(hole=True)


class _Way:
    """One direction of one line."""

    def __init__(self) -> None:
        self.since = 0
        """Bytes that were carried under the fault that holds now."""
        self.fault = WELL


class _Line:
    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.sides = (near, far)

    def reset(self) -> None:
        """Both ends hear RST, and whatever was not yet carried is gone."""
        for side in self.sides:
            sock = side.get_extra_info("socket")
            if sock is not None and not side.transport.is_closing():
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.transport.abort()


class FaultProxy:
    """Carries between a free port of its own and `port`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.lines_made = 0
        self.carried = {"up": 0, "down": 0}
        self._faults = {"up": WELL, "down": WELL}
        self._refuses = False
        self._changed = asyncio.Event()
        self._open: set[_Line] = set()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(CLOSES_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(CLOSES_S)

    def before(self, url: str) -> str:
        """The same address by way of this proxy."""
        parts = urlsplit(url)
        who = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{who[0]}{who[1]}127.0.0.1:{self.port}"))

    @property
    def lines_open(self) -> int:
        return len(self._open)

    # What may be wrong with it

    def fail(self, *, up: Fault = WELL, down: Fault = WELL) -> None:
        def change() -> None:
            self._faults = {"up": up, "down": down}
            self._wake()

        self._do(change)

    def hole(self) -> None:
        """Nothing gets through in either direction, and nobody is told. New lines are accepted and hear nothing."""
        self.fail(up=HOLE, down=HOLE)

    def mend(self) -> None:
        def change() -> None:
            self._refuses = False
            self._faults = {"up": WELL, "down": WELL}
            self._wake()

        self._do(change)

    def reset(self) -> None:
        """Every line that is open ends now, by RST."""
        self._do(lambda: [line.reset() for line in list(self._open)])

    def refuse(self) -> None:
        """As if nobody were there: lines end, and new ones are reset at once."""

        def change() -> None:
            self._refuses = True
            for line in list(self._open):
                line.reset()

        self._do(change)

    @contextlib.contextmanager
    def failing(self, *, up: Fault = WELL, down: Fault = WELL) -> Iterator[None]:
        """While it lasts."""
        self.fail(up=up, down=down)
        try:
            yield
        finally:
            self.mend()

    # How it works

    def _do(self, change: Callable[[], object]) -> None:
        """In the loop's own thread, and done when this returns."""
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(CLOSES_S)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._over.wait()
        server.close()
        for line in list(self._open):
            line.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines_made += 1
        try:
            if self._refuses:
                raise ConnectionRefusedError
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            _Line(writer, writer).reset()
            return
        line = _Line(writer, far_writer)
        if self._refuses:  # by now
            line.reset()
            return
        self._open.add(line)
        try:
            await asyncio.gather(
                self._carry(line, reader, far_writer, "up"),
                self._carry(line, far_reader, writer, "down"),
            )
        except asyncio.CancelledError:
            line.reset()  # the proxy ends, and nobody else waits for this
        finally:
            self._open.discard(line)
            for side in line.sides:
                side.transport.abort()

    async def _carry(self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        """One direction, to its end. An end of file is carried too, and an error ends both."""
        way = _Way()
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)
        delivering = asyncio.create_task(self._deliver(line, pieces, writer, name, way))
        data = b"?"
        try:
            while data:
                data = await reader.read(PIECE)
                await pieces.put((self._loop.time(), data))
            await delivering
        except OSError:
            line.reset()
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    async def _deliver(
        self, line: _Line, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, name: str, way: _Way
    ) -> None:
        data = b"?"
        while data:
            came, data = await pieces.get()
            await self._passes(came, name)
            left = data
            while left:
                left = await self._slice(line, left, writer, name, way)
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _passes(self, came: float, name: str) -> None:
        """Waits until a piece that came then may go."""
        while True:
            fault = self._faults[name]
            wait_s = None if fault.hole else came + fault.late_s - self._loop.time()
            if wait_s is not None and wait_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait_s)

    async def _slice(self, line: _Line, data: bytes, writer: asyncio.StreamWriter, name: str, way: _Way) -> bytes:
        """Carries as much as goes at once; returns what is left."""
        await self._passes(0.0, name)
        fault = self._faults[name]
        if fault is not way.fault:
            way.fault, way.since = fault, 0
        size = len(data) if fault.bytes_s is None else max(1, int(fault.bytes_s * SLICES_S))
        if fault.cut_after is not None:
            size = min(size, fault.cut_after - way.since)
        piece, left = data[:size], data[size:]
        if piece:
            writer.write(piece)
            await writer.drain()
            way.since += len(piece)
            self.carried[name] += len(piece)
        if fault.cut_after is not None and way.since >= fault.cut_after:
            await _flushed(writer)
            line.reset()
            raise ConnectionResetError
        if fault.bytes_s is not None and left:
            await asyncio.sleep(len(piece) / fault.bytes_s)
        return left


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Until the kernel has what was written, so that the far end reads it before the reset."""
    for _ in range(100):
        if not writer.transport.get_write_buffer_size():
            break
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
