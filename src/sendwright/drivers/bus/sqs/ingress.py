"""What producers send to the queue `<prefix>intake` instead of posting it: raw messages, taken, acknowledged or rejected.

Whether a body is a payload or a CloudEvent, whose it is and what it is worth is not decided here. The queue is shared with
whoever may send to it, and never carries bundles. It has no redrive policy of ours: what is put off because of a limit is
received again and again, and must not die of it; who takes sees in `received` what comes too often.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from msgspec import Struct

from sendwright.drivers.bus.sqs.address import INTAKE, SqsAddress, queue_name
from sendwright.drivers.bus.sqs.bodies import Letter
from sendwright.drivers.bus.sqs.calls import Calls, open_calls
from sendwright.drivers.bus.sqs.hands import Hand, Hands
from sendwright.drivers.bus.sqs.queues import Queue
from sendwright.drivers.bus.sqs.source import Source
from sendwright.engine.telling import Tell, Trouble

CLOSING_S = 2.0
PUT_OFF_MAX_S = 12 * 3600 - 60
"""SQS lets a message be hidden for 12 hours after it was received."""


class Posted(Struct, frozen=True):
    """One message as a producer sent it."""

    tag: int
    id: str
    """The SQS message id: an id to know it by where the body has none. The same message comes again under the same one."""
    body: bytes
    """UTF-8 text as it was sent: SQS has no other."""
    attributes: Mapping[str, str | bytes]
    """The message attributes: text and numbers as text."""
    sent_at: int
    """When SQS took it, in ms since 1970."""
    received: int
    """How many times it was handed out, this one included, as far as SQS counted."""

    def __repr__(self) -> str:
        return f"Posted({self.id})"


class Ingress(Protocol):
    """Raw messages from outside. At least once: what was taken and not acknowledged comes again."""

    async def take(self) -> Posted:
        """The next message; waits until there is one. Cancelling it loses nothing. Raises `BusDown`."""
        ...

    async def ack(self, posted: Posted) -> None:
        """Forgets it for good: what it asked for is durable elsewhere. Twice is harmless. Raises `BusDown`; then repeat it."""
        ...

    async def reject(self, posted: Posted, after_s: int = 0) -> None:
        """Puts it back, to be taken by anybody after that time: for what is over a limit, or can't be written now. What
        can never be taken is kept as a dead letter and acknowledged. Raises `BusDown`."""
        ...


class SqsIngress:
    """Ingress, on the queue `<prefix>intake`, which is made where it is missing and else taken as it is."""

    def __init__(self, calls: Calls, address: SqsAddress, tell: Tell) -> None:
        self._queue = Queue(calls, address, queue_name(address.prefix, INTAKE), None, ours=False)
        self._source = Source(self._receive, calls.chance, address.within_s)
        self._hands = Hands(address.visibility_s, tell, self._source.withdraw)
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._beating = asyncio.get_running_loop().create_task(self._hands.beat())

    async def declare(self) -> None:
        """Makes the queue where it is missing. Raises `BusDown`."""
        await self._queue.url()

    async def take(self) -> Posted:
        hand = await self._source.take()
        message = hand.message
        return Posted(hand.tag, str(message["MessageId"]), hand.letter.body, _attributes(message), hand.sent_at, hand.received)

    async def ack(self, posted: Posted) -> None:
        hand = self._hands.found(posted.tag)
        if hand is not None:
            await self._hands.done(hand)

    async def reject(self, posted: Posted, after_s: int = 0) -> None:
        hand = self._hands.found(posted.tag)
        if hand is not None:
            await self._hands.give_back(hand, min(max(0, after_s), PUT_OFF_MAX_S))

    async def close(self) -> None:
        """Gives back what is here and not acknowledged."""
        cut: list[asyncio.Task[None]] = self._source.close()
        back = [asyncio.ensure_future(self._hands.give_back(hand)) for hand in self._hands.all()]
        if back:
            await asyncio.wait(back, timeout=CLOSING_S)
            cut += back
        if self._beating is not None:
            self._beating.cancel()
            cut.append(self._beating)
        for batches in self._queue.batches:
            cut += batches.close()
        await asyncio.gather(*cut, return_exceptions=True)

    async def _receive(self, most: int) -> list[Hand]:
        hands = []
        for message in await self._queue.receive(most, attributes=True):
            letter = Letter("", "", 1, str(message["Body"]).encode("utf-8", "surrogatepass"))
            hand = self._hands.received(self._queue, message, letter)
            if hand is not None:
                hands.append(hand)
        return hands


def _attributes(message: Mapping[str, Any]) -> dict[str, str | bytes]:
    found: dict[str, str | bytes] = {}
    for name, value in (message.get("MessageAttributes") or {}).items():
        found[name] = value["BinaryValue"] if value.get("BinaryValue") is not None else str(value.get("StringValue", ""))
    return found


@asynccontextmanager
async def open_ingress(address: SqsAddress, tell: Tell | None = None) -> AsyncIterator[SqsIngress]:
    """Raises `OperatorError`."""
    async with open_calls(address) as calls:
        ingress = SqsIngress(calls, address, tell or _silent)
        ingress.start()
        try:
            yield ingress
        finally:
            await ingress.close()


def _silent(_: Trouble | object) -> None:
    """Tells nobody."""
