"""The RabbitMQ bus: lanes as quorum queues, bundles as confirmed messages, over two connections.

One connection publishes, one takes: a broker in alarm stops reading from connections that publish, and acknowledgements
must go on, or the alarm would feed itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from aiormq.abc import DeliveredMessage
from yarl import URL

from sendwright.drivers.bus.rabbitmq.consumer import Consumer, Hands
from sendwright.drivers.bus.rabbitmq.dead import Dead, read_dead
from sendwright.drivers.bus.rabbitmq.gauge import Gauge, Seen
from sendwright.drivers.bus.rabbitmq.ingress import Ingress, Posted, read_posted
from sendwright.drivers.bus.rabbitmq.link import CONNECT_S, Link, end
from sendwright.drivers.bus.rabbitmq.publisher import LIMITS_S, Publisher
from sendwright.drivers.bus.rabbitmq.reading import seen_of
from sendwright.drivers.bus.rabbitmq.topology import DEAD, INGRESS, Names, Topology, lost_is_down, said
from sendwright.engine.ports import Delivery
from sendwright.engine.telling import Tell, Telling, Trouble
from sendwright.errors import BusDown, BusUnusable
from sendwright.model.notification import Priority

LOOK_S = 1.0
"""How often the broker is asked how much waits, where somebody wants to know."""
QUIET_S = 10.0
"""How often, where nobody does: each question costs the broker as much as a bundle."""
ABSENT_S = 15.0
"""How long a queue that is not there is left alone: asking for it costs a channel."""

T = TypeVar("T")


class RabbitBus:
    """ports.Bus; and the dead lane and the producers' queue beside it. Made by `open_rabbitmq`."""

    def __init__(self, url: str, prefix: str, tell: Tell, limits_s: dict[Priority, float]) -> None:
        self.names = Names(prefix)
        self._tell = tell
        self._publishing = Link(URL(url), "sendwright publish", tell)
        self._taking = Link(URL(url), "sendwright take", tell)
        self._topology = Topology(self.names, self._taking.up)
        self._gauges: dict[str, Gauge] = {}
        self._absent: dict[str, float] = {}
        self._wanted: set[str] = set()
        """Lanes of which somebody has wanted to know since they were last looked at."""
        self._looked: dict[str, float] = {}
        """When that was, on the monotonic clock."""
        self._hands = Hands()
        self._consumers: dict[str, Consumer[Any]] = {}
        self._publisher = Publisher(self._publishing, self._topology, self._gauge, limits_s)
        self._asked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self._closed = False

    def publish(self, lane: str, parcels: Sequence[bytes]) -> Awaitable[None]:
        """Returns when the broker has confirmed every bundle. Raises `BusDown` within the lane's time limit; with `maybe`
        when the confirm is all that is missing."""
        return self._publisher.publish(lane, parcels)

    async def take(self, lane: str) -> Delivery:
        """As in the port. Waits while the broker is away; raises `BusDown` when the lane's queue can't be consumed as it is."""
        consumer = self._consumer(lane, _read_delivery(lane))
        if self._stopped:
            consumer.stop()
        return await consumer.take()

    async def done(self, delivery: Delivery) -> None:
        """Acknowledges. The broker does not answer that: when the connection is lost just then, the bundle comes again."""
        await self._hands.done(delivery.tag)

    async def give_back(self, delivery: Delivery) -> None:
        """Counts as a delivery: what is given back too often goes to the dead lane."""
        await self._hands.give_back(delivery.tag)

    def stop_taking(self) -> None:
        """As in the port; the dead lane, and what producers publish, are taken on."""
        self._stopped = True
        for lane, consumer in self._consumers.items():
            if lane not in (DEAD, INGRESS):
                consumer.stop()

    def depth(self, lane: str) -> int:
        """As far as is known here, see gauge.py. What other processes have been sent and not yet taken is not in it."""
        consumer = self._consumers.get(lane)
        self._want(lane)
        return self._gauge(lane).parcels() + (consumer.untaken if consumer else 0)

    def oldest_s(self, lane: str) -> float:
        """As far as is known here, see gauge.py."""
        consumer = self._consumers.get(lane)
        self._want(lane)
        times = (self._gauge(lane).oldest(), consumer.oldest if consumer else None)
        oldest = min((at for at in times if at is not None), default=None)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)

    async def take_dead(self) -> Dead:
        """The first of what was delivered too often, or rejected; acknowledged by `done(dead.delivery)`. See `dead.bury`."""
        return await self._consumer(DEAD, lambda tag, message: read_dead(self.names, tag, message)).take()

    def ingress(self) -> Ingress:
        """What producers publish."""

        async def take() -> Posted:
            return await self._consumer(INGRESS, read_posted).take()

        return Ingress(take, self._hands)

    @property
    def writable(self) -> bool:
        """Whether a publish would be tried now: both connections stand, and the broker is not in alarm."""
        standing = self._publishing.connection is not None and self._taking.connection is not None
        return standing and not self._publishing.blocked

    async def declare(self, lanes: Iterable[str]) -> None:
        """Declares what these lanes need, and looks how much is in them. Raises `BusUnusable`, naming the queue or exchange
        that is not what it should be."""
        for lane in lanes:
            await self._topology.ensure(lane)
            await self._look_at(lane)

    async def exists(self, lane: str) -> bool:
        """Whether there is such a queue. Makes none. Raises `BusDown`."""
        try:
            async with asyncio.timeout(CONNECT_S):
                return await self._topology.ready(lane) is not None
        except Exception as error:
            raise BusDown(f"RabbitMQ: {said(error)}") from error

    async def open(self, lanes: Iterable[str]) -> None:
        try:
            await self._publishing.open()
            await self._taking.open()
            async with asyncio.timeout(CONNECT_S):
                await self.declare([DEAD, *lanes])
        except BusUnusable:
            raise
        except Exception as error:
            raise BusDown(f"RabbitMQ: {said(error)}") from error
        runs = (self._publishing.run(), self._taking.run(), self._look_again_and_again())
        self._tasks = [asyncio.create_task(run) for run in runs]

    async def close(self) -> None:
        """What is taken and not done comes again, to somebody else; what is not confirmed fails."""
        self._closed = True
        await self._publisher.close()
        await asyncio.gather(*(consumer.close() for consumer in self._consumers.values()))
        await end(self._tasks)
        await asyncio.gather(self._publishing.close(), self._taking.close())

    def _consumer(self, lane: str, read: Callable[[int, DeliveredMessage], tuple[Seen, T]]) -> Consumer[T]:
        consumer = self._consumers.get(lane)
        if consumer is None:
            if self._closed:
                raise BusDown("the bus is closed")
            consumer = Consumer(self._taking, self.names, lane, self._gauge(lane), self._hands, read, self._tell)
            self._consumers[lane] = consumer
        return consumer

    def _gauge(self, lane: str) -> Gauge:
        gauge = self._gauges.get(lane)
        if gauge is None:
            gauge = self._gauges[lane] = Gauge()
            self._asked.set()  # nobody waits a second for the first figure
        return gauge

    def _want(self, lane: str) -> None:
        if lane not in self._wanted:
            self._wanted.add(lane)
            if time.monotonic() - self._looked.get(lane, 0.0) > LOOK_S:
                self._asked.set()  # the figure is old: the next who asks shall have a new one

    async def _look_again_and_again(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._asked.wait()
            self._asked.clear()
            for lane in self._due():
                try:
                    with lost_is_down():
                        await self._look_at(lane)
                except Exception as error:  # noqa: BLE001 — the figures are old, and nothing else is wrong
                    self._tell(Trouble("bus", f"{lane}: not counted: {said(error)}"))
                    break

    def _due(self) -> list[str]:
        """The lanes to look at now."""
        now = time.monotonic()
        return [
            lane
            for lane in self._gauges
            if now - self._looked.get(lane, 0.0) >= (LOOK_S if lane in self._wanted else QUIET_S)
            and (self._topology.declared(lane) or now >= self._absent.get(lane, 0.0))
        ]

    async def _look_at(self, lane: str) -> None:
        gauge = self._gauge(lane)
        moves = gauge.moves
        self._looked[lane] = time.monotonic()
        self._wanted.discard(lane)
        ready = await self._topology.ready(lane)
        if ready is None:
            self._absent[lane] = time.monotonic() + ABSENT_S
        gauge.counted(ready or 0, moves, int(time.time() * 1000))


def _read_delivery(lane: str) -> Callable[[int, DeliveredMessage], tuple[Seen, Delivery]]:
    def read(tag: int, message: DeliveredMessage) -> tuple[Seen, Delivery]:
        seen = seen_of(message)
        redelivered = bool(getattr(message.delivery, "redelivered", False))
        return seen, Delivery(lane, tag, message.body, seen.count, redelivered)

    return read


def _tell_nobody(_: Telling) -> None:
    pass


@asynccontextmanager
async def open_rabbitmq(
    url: str,
    prefix: str = "",
    *,
    lanes: Iterable[str] = (),
    tell: Tell = _tell_nobody,
    limits_s: dict[Priority, float] | None = None,
) -> AsyncIterator[RabbitBus]:
    """The bus on the broker at `url` (amqp:// or amqps://), where all names begin with `prefix`.

    `lanes` are declared and checked at once, others when they are first used. `limits_s` is the time limit of a publish, by
    priority. Raises `BusUnusable` where the operator must act (refused user, a queue with other arguments), `BusDown` when
    there is no broker; after that lost connections are made again, and told about."""
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # its lines may hold bodies; what matters of them is told
    bus = RabbitBus(url, prefix, tell, {**LIMITS_S, **(limits_s or {})})
    try:
        await bus.open(lanes)
        yield bus
    finally:
        await bus.close()
