"""Into the inbox: a line that ends in our own store.

What the store says for certain it did not take is `NotSent`, what it may have taken is `Lost`; putting it there again is harmless.
"""

from __future__ import annotations

import asyncio

from sendwright.engine.ports import Clock, Inbox
from sendwright.errors import Unavailable
from sendwright.model.inbox import Item
from sendwright.providers.contract import Answer, InboxItem, Lost, NotSent, Reply, Request


class InboxLine:
    """`ports.Line` for `InboxItem` requests of one provider."""

    open = True

    def __init__(self, inbox: Inbox, clock: Clock, provider: str) -> None:
        self._inbox = inbox
        self._clock = clock
        self._provider = provider

    async def send(self, request: Request, within_s: float) -> Answer:
        """Answers 201 once it is durable. `ValueError` for other requests."""
        if not isinstance(request, InboxItem):
            raise ValueError("not an item of an inbox")  # noqa: TRY004 -- every refusal of a request is a ValueError
        if within_s <= 0:
            return NotSent("late", "no time left")
        item = Item(
            request.id, request.tenant, request.recipient, self._clock.now_ms(), self._provider, request.attempt, request.said
        )
        try:
            async with asyncio.timeout(within_s):
                await self._inbox.add(item)
        except TimeoutError:
            return Lost("wait", "timed out")
        except Unavailable as error:
            return Lost("wait", "the store gave no answer") if error.maybe else NotSent("connect", "the store is down")
        return Reply(201, body=request.id.encode())

    def release(self) -> None:
        """Nothing to give back."""
