"""A line between a house and a vendor that takes its time, and loses some of what it is given, so that it comes later.

What TCP makes of lost packets, without the kernel's help: every piece is late, some are very late, none are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading

CLOSES_S = 5


class SlowLine:
    """Listens on a free port, or on that of `listen`, and carries to `port`. Ends with `stop`.

    Each piece is `late_s` late, a `share` of them (0 to 1, drawn by `seed`) `again_s` later still."""

    def __init__(
        self, port: int, *, late_s: float = 0, share: float = 0, again_s: float = 0, seed: int = 0, listen: int = 0
    ) -> None:
        self.repeated = 0
        """Pieces that were lost at first."""
        self.port = listen
        self._to = port
        self._late_s, self._share, self._again_s = late_s, share, again_s
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._listening.wait(CLOSES_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(CLOSES_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._over.wait()
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        finally:
            for side in (writer, far_writer):
                side.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One way. A later piece never overtakes an earlier one, as TCP promises."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(pieces, writer))
        data = b"?"
        while data:
            try:
                data = await reader.read(65_536)
            except ConnectionError:
                data = b""
            again = self._rng.random() < self._share
            self.repeated += again
            pieces.put_nowait((self._loop.time() + self._late_s + again * self._again_s, data))
        await delivering

    async def _deliver(self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        data = b"?"
        while data:
            due, data = await pieces.get()
            await asyncio.sleep(due - self._loop.time())
            with contextlib.suppress(OSError):
                writer.write(data) if data else writer.write_eof()
