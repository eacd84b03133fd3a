"""What there is on the broker: exchanges, queues, their arguments; declared as often as wanted, and checked.

    producers ─▶ <prefix>sendwright        ─ intake ──▶ <prefix>intake             the ingress, raw
    we        ─▶ <prefix>sendwright.lanes  ─ <lane> ──▶ <prefix><lane>             bundles, a queue per lane
    broker    ─▶ <prefix>sendwright.dead   ─ dead ────▶ <prefix>dead               what was delivered too often

Who may publish to the first exchange can't reach a lane: a parcel can't be forged by a producer. Every queue is a durable
quorum queue with a delivery limit that is set here, since its default differs between versions (none in 3.10, 20 in 4).
Only what 3.10 and 4 both have is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from msgspec import Struct

from sendwright.errors import BusDown, BusUnusable
from sendwright.model.notification import PRIORITIES, Priority

DEAD = "dead"
"""The lane of what was delivered too often."""
INGRESS = "intake"
"""The queue of what producers publish, and its routing key. The lanes of intake have a priority in their names."""

DELIVERIES_MAX = 100
"""So often does a bundle come back before it is dead. A crash counts for everything that the process had been sent, not
only for what broke it, hence far more than any poison needs."""
NEVER = 1_000_000_000
"""A delivery limit that is none: RabbitMQ 3.10 knows no other way to say so, and 4 sets one of 20 where nothing is said."""

RPC_S = 10.0
"""The time limit of one question to the broker."""

PREFETCH = {Priority.CRITICAL: 64, Priority.HIGH: 48, Priority.NORMAL: 32, Priority.BULK: 16}
"""Bundles of one lane that one process may hold, in hand and in front of it. What is urgent comes in small bundles and must
not wait for an answer; what is bulk comes in full ones, and is better left to whoever is free."""
PREFETCH_INTAKE = {Priority.CRITICAL: 24, Priority.HIGH: 24, Priority.NORMAL: 16, Priority.BULK: 16}
"""The same for intake. As many as a worker plans at once and as many again in front of it, beside those that it has planned and
whose parcels it delivers past the lane (engine/shortcut.py): fewer, and a slow provider would keep it from planning for all."""

T = TypeVar("T")


def priority_of(lane: str) -> Priority:
    """The priority that a lane's name ends in. Those without one (receipts, the dead, ingress) count as high."""
    return PRIORITIES.get(lane.rpartition(".")[2], Priority.HIGH)


def prefetch_of(lane: str) -> int:
    return (PREFETCH_INTAKE if lane.startswith(INGRESS + ".") else PREFETCH)[priority_of(lane)]


class Names(Struct, frozen=True):
    """What things are called on the broker."""

    prefix: str = ""

    @property
    def public(self) -> str:
        return f"{self.prefix}sendwright"

    @property
    def lanes(self) -> str:
        return f"{self.prefix}sendwright.lanes"

    @property
    def dead(self) -> str:
        return f"{self.prefix}sendwright.dead"

    def queue(self, lane: str) -> str:
        return self.prefix + lane

    def lane(self, queue: str) -> str:
        return queue.removeprefix(self.prefix)


def arguments(names: Names, lane: str) -> dict[str, Any]:
    """A queue's arguments. They can't be changed later but by making the queue anew."""
    if lane == DEAD:
        return {"x-queue-type": "quorum", "x-delivery-limit": NEVER}
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERIES_MAX,
        "x-dead-letter-exchange": names.dead,
        "x-dead-letter-routing-key": DEAD,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # without which 3.10 falls back, silently, to at most once
    }


async def declare(channel: AbstractChannel, names: Names, lane: str) -> None:
    """The lane's queue and all that it needs. Raises `BusUnusable` where something else has its name."""
    with_args: list[tuple[str, Callable[[], Awaitable[object]]]] = []

    def exchange(name: str) -> None:
        with_args.append((name, lambda: channel.exchange_declare(name, exchange_type="direct", durable=True, timeout=RPC_S)))

    def queue(of: str, source: str) -> None:
        name, args = names.queue(of), arguments(names, of)
        with_args.append((name, lambda: channel.queue_declare(name, durable=True, arguments=args, timeout=RPC_S)))
        with_args.append((name, lambda: channel.queue_bind(name, source, of, timeout=RPC_S)))

    exchange(names.dead)
    queue(DEAD, names.dead)
    if lane != DEAD:
        source = names.public if lane == INGRESS else names.lanes
        exchange(source)
        queue(lane, source)
    for name, step in with_args:
        try:
            await step()
        except (aiormq.ChannelPreconditionFailed, aiormq.ChannelAccessRefused, aiormq.ChannelLockedResource) as error:
            raise BusUnusable(f"{name} on RabbitMQ is not what it should be: {said(error)}") from error


def said(error: BaseException) -> str:
    """The broker's own words, which name queues, arguments and users, but no secret and nothing of a message. Of the library's
    other errors, some of which hold what was being read, only the kind."""
    if isinstance(error, BusDown):
        return str(error)
    if isinstance(error, aiormq.AMQPChannelError | aiormq.AMQPConnectionError) and error.args and isinstance(error.args[-1], str):
        return error.args[-1]
    return type(error).__name__


@contextmanager
def lost_is_down() -> Iterator[None]:
    """`BusDown` where the library says `CancelledError` and nobody cancelled: its word, to whoever waits, for a connection that
    was closed or has long been silent. No `except Exception` would see it, and a task that must go on would end."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BusDown("the connection was lost") from error


class Topology:
    """Declares what is needed, once; counts what waits. Has a channel of its own, on the connection that takes: one that
    publishes is not read by a broker in alarm."""

    def __init__(self, names: Names, connected: Callable[[], Awaitable[AbstractConnection]]) -> None:
        self.names = names
        self._connected = connected
        self._channel: AbstractChannel | None = None
        self._declared: set[str] = set()
        self._lock = asyncio.Lock()

    def declared(self, lane: str) -> bool:
        return lane in self._declared

    async def ensure(self, lane: str) -> None:
        """Declares the lane's queue, unless that has been done. Raises `BusUnusable`, `BusDown`, or what the library does."""
        if lane in self._declared:
            return
        async with self._lock:
            if lane not in self._declared:
                await self._on_channel(lambda channel: declare(channel, self.names, lane))
                self._declared.add(lane)

    def forget(self, lane: str) -> None:
        """It is not there any more: to be declared again before it is used."""
        self._declared.discard(lane)

    def forget_all(self) -> None:
        self._declared.clear()

    async def ready(self, lane: str) -> int | None:
        """Bundles of the lane that the broker has not handed to anybody; None when there is no such queue. Raises `BusDown`, or
        what the library does."""
        async with self._lock:
            try:
                found = await self._on_channel(
                    lambda channel: channel.queue_declare(self.names.queue(lane), passive=True, timeout=RPC_S)
                )
            except aiormq.ChannelNotFoundEntity:
                self._declared.discard(lane)
                return None
        return found.message_count or 0

    async def _on_channel(self, step: Callable[[AbstractChannel], Awaitable[T]]) -> T:
        with lost_is_down():
            return await self._stepped(step)

    async def _stepped(self, step: Callable[[AbstractChannel], Awaitable[T]]) -> T:
        channel = self._channel
        if channel is None or channel.is_closed:
            connection = await self._connected()
            channel = self._channel = await connection.channel(publisher_confirms=False, timeout=RPC_S)
        try:
            return await step(channel)
        except BaseException:
            self._channel = None  # most refusals have closed it
            with suppress(Exception):
                async with asyncio.timeout(RPC_S):
                    await channel.close()
            raise
