"""RabbitMQ for tests: a place of one's own on a broker that is there, and a broker of one's own.

The broker that is there is 127.0.0.1:5672, or what RABBITMQ_URL names. Without one the tests are skipped, unless
RABBITMQ_URL or CI is set: then it has to be there.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiormq
import pytest

from sendwright.drivers.bus.rabbitmq import RabbitBus, open_rabbitmq
from sendwright.drivers.bus.rabbitmq.topology import DEAD, INGRESS, Names

URL = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")


class Place:
    """A prefix of one's own on a broker, and the queues that were made there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"t-{secrets.token_hex(6)}."
        self.names = Names(self.prefix)
        self.lanes: set[str] = set()

    @asynccontextmanager
    async def open(self, lanes: Iterable[str] = (), url: str | None = None, **options: Any) -> AsyncIterator[RabbitBus]:
        async with open_rabbitmq(url or self.url, self.prefix, lanes=lanes, **options) as bus:
            try:
                yield bus
            finally:
                self.lanes |= bus._gauges.keys()

    async def kill(self, bus: Any) -> None:
        """Ends a bus as kill -9 would, once the broker has what had been said to it."""
        self.lanes |= bus._gauges.keys()
        for consumer in bus._consumers.values():
            if consumer._channel is not None:
                await consumer._channel.basic_qos(prefetch_count=1)
        bus._closed = True
        for task in [*bus._tasks, *(consumer._task for consumer in bus._consumers.values())]:
            task.cancel()
        bus._publishing.cut()
        bus._taking.cut()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Any]:
        """A channel beside the bus, as operators and producers have one."""
        connection = await aiormq.connect(self.url)
        try:
            yield await connection.channel()
        finally:
            await connection.close()

    async def consumers(self, lane: str) -> int:
        """Consumers of the lane's queue, as the broker counts them; 0 where there is no queue."""
        async with self.channel() as channel:
            try:
                found = await channel.queue_declare(self.names.queue(lane), passive=True)
            except aiormq.ChannelNotFoundEntity:
                return 0
            return found.consumer_count or 0

    async def clean(self) -> None:
        async with self.channel() as channel:
            for lane in {*self.lanes, DEAD, INGRESS}:
                await channel.queue_delete(self.names.queue(lane))
            for exchange in (self.names.lanes, self.names.public, self.names.dead):
                await channel.exchange_delete(exchange)


@asynccontextmanager
async def place(url: str = URL) -> AsyncIterator[Place]:
    made = Place(url)
    try:
        async with asyncio.timeout(10), made.channel():
            pass
    except OSError:
        if "RABBITMQ_URL" in os.environ or "CI" in os.environ:
            raise
        pytest.skip("no RabbitMQ there; set RABBITMQ_URL")
    try:
        yield made
    finally:
        await made.clean()
