"""What producers publish: raw messages from `<prefix>intake`, each to be acknowledged, given back or rejected.

Nothing here judges a message: whose it is, whether it is one and under which key is decided by who takes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiormq.abc import DeliveredMessage
from msgspec import Struct

from sendwright.drivers.bus.rabbitmq.consumer import Hands
from sendwright.drivers.bus.rabbitmq.gauge import Seen
from sendwright.drivers.bus.rabbitmq.reading import headers_of, seen_of


class Posted(Struct, frozen=True):
    """A producer's message. `message_id`, `type` and `content_type` are AMQP's properties; `headers` are the producer's own,
    without those that brokers add. None of it is checked."""

    tag: int
    body: bytes
    message_id: str | None
    content_type: str | None
    type: str | None
    headers: dict[str, Any]
    redelivered: bool

    def __repr__(self) -> str:
        return f"Posted({self.tag}, {len(self.body)} bytes)"


class Ingress:
    """An endless iterator over what is published; at least once, oldest first. `RabbitBus.ingress()` makes it."""

    def __init__(self, take: Callable[[], Awaitable[Posted]], hands: Hands) -> None:
        self._take = take
        self._hands = hands

    def __aiter__(self) -> AsyncIterator[Posted]:
        return self

    async def __anext__(self) -> Posted:
        return await self._take()

    async def take(self) -> Posted:
        """The first that nobody has; waits until there is one. Cancelling it loses nothing. Raises `BusDown` when the queue
        can't be consumed as it is."""
        return await self._take()

    async def ack(self, posted: Posted) -> None:
        """It is ours now, or kept with the dead. Harmless when repeated, and after its connection was lost."""
        await self._hands.done(posted.tag)

    async def give_back(self, posted: Posted) -> None:
        """To be taken again: our side is at fault."""
        await self._hands.give_back(posted.tag)

    async def reject(self, posted: Posted) -> None:
        """To the dead lane as it is: it can't be taken, and could not be kept."""
        await self._hands.reject(posted.tag)


def read_posted(tag: int, message: DeliveredMessage) -> tuple[Seen, Posted]:
    properties = message.header.properties
    headers = {name: value for name, value in headers_of(message).items() if not name.lower().startswith("x-")}
    posted = Posted(
        tag,
        message.body,
        properties.message_id or None,
        properties.content_type or None,
        properties.message_type or None,
        headers,
        bool(getattr(message.delivery, "redelivered", False)),
    )
    return Seen(1, seen_of(message).at), posted
