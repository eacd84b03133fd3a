"""One connection to the broker that is made again whenever it is lost, after growing pauses."""

from __future__ import annotations

import asyncio
import random
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable
from typing import Any

import aiormq
from aiormq.abc import AbstractConnection
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from yarl import URL

from sendwright.drivers.bus.rabbitmq.topology import lost_is_down, said
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import BusUnusable

CONNECT_S = 10.0
HEARTBEAT_S = 5
"""A broker that says nothing for three of these (the library's patience) is taken for lost."""
PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 5.0
CANCEL_AGAIN_S = 0.5

REFUSALS = (aiormq.AuthenticationError, aiormq.ProbableAuthenticationError, aiormq.exceptions.ConnectionNotAllowed)
"""What no repeating mends: the user, the password, the vhost."""


class Backoff:
    """Growing pauses in seconds, each between half and the whole of its length, so that not all come back at once."""

    def __init__(self) -> None:
        self._next_s = PAUSE_FIRST_S

    def reset(self) -> None:
        self._next_s = PAUSE_FIRST_S

    def pause_s(self) -> float:
        length_s, self._next_s = self._next_s, min(PAUSE_MAX_S, 2 * self._next_s)
        return length_s * random.uniform(0.5, 1.0)  # noqa: S311 — a pause, not a secret


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels until they have ended: in Python 3.11 `wait_for`, which the library is full of, loses a cancellation that comes
    just when what it waits for is there."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)


class Link:
    """Keeps one connection open while `run` runs."""

    def __init__(self, url: URL, name: str, tell: Tell) -> None:
        query = {"heartbeat": str(HEARTBEAT_S), **url.query, "name": name}
        query.pop("prefix", None)
        self._url = url.with_query(query)
        self._name = name
        self._tell = tell
        self._connection: AbstractConnection | None = None
        self._writer: StreamWriter | None = None
        self._up = asyncio.Event()

    @property
    def connection(self) -> AbstractConnection | None:
        """The connection, while there is one."""
        return None if self._connection is None or self._connection.is_closed else self._connection

    async def up(self) -> AbstractConnection:
        """The connection, as soon as there is one."""
        while (connection := self.connection) is None:
            self._up.clear()
            await self._up.wait()
        return connection

    @property
    def blocked(self) -> bool:
        """The broker is in alarm (memory, disk) and reads nothing that is published here.

        The library has no question for it, but a coroutine that goes through at once unless it is so."""
        connection = self.connection
        if connection is None:
            return False
        ready = connection.ready()
        try:
            ready.send(None)
        except StopIteration:
            return False
        ready.close()
        return True

    def cut(self) -> None:
        """Drops the connection without a word: for one of which nothing is heard any more."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def open(self) -> None:
        """The first connection. Raises `BusUnusable` when the broker refuses us, else what the network says."""
        try:
            self._connection = await self._connected()
        except REFUSALS as error:
            raise BusUnusable(f"RabbitMQ refuses the connection: {said(error)}") from error
        self._up.set()

    async def run(self) -> None:
        """Makes it again whenever it is lost. Ends by being cancelled."""
        backoff = Backoff()
        while True:
            if self._connection is not None:
                backoff.reset()
                await asyncio.wait({self._connection.closing})
                self._connection = None
                self._tell(Trouble("bus", f"{self._name}: connection lost"))
            await asyncio.sleep(backoff.pause_s())
            try:
                self._connection = await self._connected()
            except Exception as error:  # noqa: BLE001 — whatever it is, it is tried again
                self._tell(Trouble("bus", f"{self._name}: no connection: {said(error)}"))
            else:
                self._up.set()

    async def close(self) -> None:
        """Says goodbye; without an answer in time, hangs up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                async with asyncio.timeout(2 * PAUSE_MAX_S):
                    await connection.close()
            except TimeoutError:
                self.cut()

    async def _connected(self) -> AbstractConnection:
        made = aiormq.Connection(self._url, transport_factory=_Kept(self))
        try:
            async with asyncio.timeout(CONNECT_S):
                with lost_is_down():
                    await made.connect()
        except BaseException:
            self.cut()
            raise
        return made

    def keep(self, writer: StreamWriter) -> None:
        self._writer = writer


class _Kept(aiormq.TransportFactory):
    """Opens what the library would, and lets the link have the socket, so that it can hang up."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def create(self, url: URL, **kwargs: Any) -> tuple[StreamReader, StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, writer = await factory.create(url, **kwargs)
        self._link.keep(writer)
        return reader, writer
