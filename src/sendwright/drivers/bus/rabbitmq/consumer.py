"""One queue's consumer: started once, kept, begun anew when its channel is lost; and the takers that wait for it.

Each begin has a channel of its own, and what it brought is known by that channel: an answer to a delivery can only go
where the delivery came from, and is dropped when that is gone. There is one task per queue, and it opens a channel only
after it has closed the one before, so that a process never consumes a queue twice.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage

from sendwright.drivers.bus.rabbitmq.gauge import Gauge, Seen
from sendwright.drivers.bus.rabbitmq.link import Backoff, Link, end
from sendwright.drivers.bus.rabbitmq.topology import RPC_S, Names, declare, lost_is_down, prefetch_of, said
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import BusDown, BusUnusable

T = TypeVar("T")

COMES_BACK_S = 0.2
"""How long a lane stands still for what was just given back, so that it comes out first. With other consumers on the queue it
may never come to us."""


class Arrived(Generic[T]):
    """One message in this process: `taken` is what its taker gets."""

    __slots__ = ("channel", "consumer", "delivery_tag", "name", "redelivered", "seen", "tag", "taken")

    def __init__(
        self,
        consumer: Consumer[T],
        channel: AbstractChannel,
        delivery_tag: int,
        tag: int,
        name: str,
        seen: Seen,
        taken: T,
        redelivered: bool,
    ) -> None:
        self.consumer = consumer
        self.channel = channel
        self.delivery_tag = delivery_tag
        self.tag = tag
        self.name = name
        self.seen = seen
        self.taken = taken
        self.redelivered = redelivered


class Hands:
    """What has come to this process and is neither acknowledged nor given back, by a number that is never used twice."""

    def __init__(self) -> None:
        self._held: dict[int, Arrived[Any]] = {}
        self._tags = itertools.count(1)

    def next_tag(self) -> int:
        return next(self._tags)

    def put(self, arrived: Arrived[Any]) -> None:
        self._held[arrived.tag] = arrived

    def pop(self, tag: int) -> Arrived[Any] | None:
        return self._held.pop(tag, None)

    def pop_all(self, consumer: Consumer[Any]) -> list[Arrived[Any]]:
        """Newest first."""
        lost = [arrived for arrived in reversed(self._held.values()) if arrived.consumer is consumer]
        for arrived in lost:
            del self._held[arrived.tag]
        return lost

    async def done(self, tag: int) -> None:
        """Acknowledges. Harmless for what is not held (any more)."""
        arrived = self.pop(tag)
        if arrived is not None:
            with suppress(Exception):  # its channel is gone: the message comes again, and nothing else is touched
                await _answered(arrived.channel, arrived.channel.basic_ack(arrived.delivery_tag, wait=False))

    async def give_back(self, tag: int) -> None:
        """To be taken again, by anybody. Harmless for what is not held."""
        arrived = self.pop(tag)
        if arrived is not None:
            arrived.consumer.gave_back(arrived)
            with suppress(Exception):
                await _answered(arrived.channel, arrived.channel.basic_nack(arrived.delivery_tag, requeue=True, wait=False))

    async def reject(self, tag: int) -> None:
        """To the dead lane. Harmless for what is not held."""
        arrived = self.pop(tag)
        if arrived is not None:
            with suppress(Exception):
                await _answered(arrived.channel, arrived.channel.basic_reject(arrived.delivery_tag, requeue=False, wait=False))


async def _answered(channel: AbstractChannel, answer: Awaitable[None]) -> None:
    """Hands an answer to the library's queue, or gives it up with its channel: what is in the queue when a connection is lost
    nobody takes out any more, and who waits for room in it would wait for ever."""
    if not channel.connection.write_queue.full():
        await answer  # goes in at once
        return
    closing, handing = channel.closing, asyncio.ensure_future(answer)
    try:
        await asyncio.wait({closing, handing}, return_when=asyncio.FIRST_COMPLETED)
        if handing.done():
            handing.result()
    finally:
        handing.cancel()
        closing.cancel()


class Consumer(Generic[T]):
    """Takes from one queue. `read` makes what a taker gets of a number and the message."""

    def __init__(
        self,
        link: Link,
        names: Names,
        lane: str,
        gauge: Gauge,
        hands: Hands,
        read: Callable[[int, DeliveredMessage], tuple[Seen, T]],
        tell: Tell,
    ) -> None:
        self._link = link
        self._names = names
        self._lane = lane
        self._gauge = gauge
        self._hands = hands
        self._read = read
        self._tell = tell
        self._channel: AbstractChannel | None = None
        self._again: deque[Arrived[T]] = deque()
        self._fresh: deque[Arrived[T]] = deque()
        self._takers: deque[asyncio.Future[Arrived[T]]] = deque()
        self._returning: set[str] = set()
        self._stopping = asyncio.Event()
        self._left = False
        """The broker sends nothing more, and what is here untaken goes back."""
        self._backs: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run(), name=f"consume {lane}")

    async def take(self) -> T:
        """The first one; waits until there is one, over lost connections too. Raises `BusDown` when the queue can't be
        consumed as it is, and when the bus is closed."""
        arrived = self._first()
        if arrived is None:
            if self._task.done():
                raise BusDown("the bus is closed")
            taker: asyncio.Future[Arrived[T]] = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                arrived = await taker
            except asyncio.CancelledError:
                if taker.done() and not taker.cancelled() and taker.exception() is None:
                    self._put_back(taker.result())
                raise
        return arrived.taken

    @property
    def untaken(self) -> int:
        """Parcels that are here and that nobody has taken."""
        return sum(arrived.seen.count for kept in (self._again, self._fresh) for arrived in kept)

    @property
    def oldest(self) -> int | None:
        """When the oldest of them was published, in ms since 1970."""
        return min((kept[0].seen.at for kept in (self._again, self._fresh) if kept), default=None)

    def gave_back(self, arrived: Arrived[T]) -> None:
        """Stands still until it is here again, or for a moment: it is older than all that waits here."""
        if arrived.channel is not self._channel:
            return
        self._gauge.went_back(arrived.name, arrived.seen)
        self._returning.add(arrived.name)
        asyncio.get_running_loop().call_later(COMES_BACK_S, self._returned, arrived.name)

    def stop(self) -> None:
        """Takes nothing more from the queue, for good; who waits waits on. What is in hand keeps its channel."""
        self._stopping.set()

    async def close(self) -> None:
        await end([self._task, *self._backs])
        self._fail_takers(BusDown("the bus is closed"))

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            connection = await self._link.up()
            if self._stopping.is_set():
                await asyncio.Event().wait()  # until it is closed
            try:
                with lost_is_down():
                    await self._consume(connection, backoff)
                self._trouble(connection, "no longer consumed")
            except BusUnusable as error:
                self._fail_takers(BusDown(str(error)))
            except Exception as error:  # noqa: BLE001 — whatever it is, a lane is never left without its consumer
                self._trouble(connection, said(error))
            finally:
                self._lost()
            await asyncio.sleep(backoff.pause_s())

    def _trouble(self, connection: AbstractConnection, what: str) -> None:
        """A lost connection is told of once, by its link, and not by every lane."""
        if self._link.connection is connection:
            self._tell(Trouble("bus", f"{self._lane}: {what}"))

    async def _consume(self, connection: AbstractConnection, backoff: Backoff) -> None:
        """Returns when the channel or the queue is lost; once it is stopped, with the channel."""
        channel = await connection.channel(publisher_confirms=False, timeout=RPC_S)
        closing, cancelled = channel.closing, asyncio.get_running_loop().create_future()
        stopping = asyncio.ensure_future(self._stopping.wait())

        def on_cancel(_: object) -> None:
            if not cancelled.done():
                cancelled.set_result(None)

        channel.on_consumer_cancel_callbacks.add(on_cancel)  # its queue was deleted, say
        try:
            await declare(channel, self._names, self._lane)
            await channel.basic_qos(prefetch_count=prefetch_of(self._lane), timeout=RPC_S)
            self._channel = channel
            begun = await channel.basic_consume(self._names.queue(self._lane), partial(self._arrived, channel), timeout=RPC_S)
            backoff.reset()
            await asyncio.wait({closing, cancelled, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and not closing.done():
                await channel.basic_cancel(str(begun.consumer_tag), timeout=RPC_S)
                self._left = True
                self._wake()
                await asyncio.wait({closing})
        finally:
            self._channel = None
            closing.cancel()
            stopping.cancel()
            with suppress(Exception):
                async with asyncio.timeout(RPC_S):
                    await channel.close()

    async def _arrived(self, channel: AbstractChannel, message: DeliveredMessage) -> None:
        delivery, name = message.delivery, message.header.properties.message_id or ""
        if channel is not self._channel or not isinstance(delivery, aiormq.spec.Basic.Deliver) or delivery.delivery_tag is None:
            return
        tag = self._hands.next_tag()
        seen, taken = self._read(tag, message)
        arrived = Arrived(self, channel, delivery.delivery_tag, tag, name, seen, taken, bool(delivery.redelivered))
        self._gauge.came(name, seen)
        self._hands.put(arrived)
        (self._again if arrived.redelivered else self._fresh).append(arrived)
        self._returning.discard(name)
        self._wake()

    def _first(self) -> Arrived[T] | None:
        if self._stopping.is_set():
            return None
        if self._again:
            return self._again.popleft()
        return self._fresh.popleft() if self._fresh and not self._returning else None

    def _put_back(self, arrived: Arrived[T]) -> None:
        """Its taker was cancelled just when he got it."""
        if arrived.channel is self._channel:
            (self._again if arrived.redelivered else self._fresh).appendleft(arrived)
            self._wake()

    def _wake(self) -> None:
        if self._left:
            self._give_up()
            return
        while self._takers:
            if self._takers[0].done():
                self._takers.popleft()
                continue
            arrived = self._first()
            if arrived is None:
                return
            self._takers.popleft().set_result(arrived)

    def _give_up(self) -> None:
        """Gives back what nobody has taken."""
        untaken = [arrived.tag for kept in (self._again, self._fresh) for arrived in kept]
        self._again.clear()
        self._fresh.clear()
        if untaken:
            back = asyncio.create_task(self._give_back(untaken))
            self._backs.add(back)
            back.add_done_callback(self._backs.discard)

    async def _give_back(self, tags: list[int]) -> None:
        for tag in tags:
            await self._hands.give_back(tag)

    def _returned(self, name: str) -> None:
        self._returning.discard(name)
        self._wake()

    def _lost(self) -> None:
        """All that came by this channel is the broker's again, taken or not."""
        for arrived in self._hands.pop_all(self):
            self._gauge.went_back(arrived.name, arrived.seen)
        self._again.clear()
        self._fresh.clear()
        self._returning.clear()

    def _fail_takers(self, error: BusDown) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_exception(error)
