"""Right of way: while something critical is on its way through this process, the lower priorities begin nothing new.

What is critical needs the event loop and the writer for a few milliseconds, some tens of times a second; a blast would
take both without a gap. So takers of the lower priorities work in small groups and look here between them. They never
wait longer than `PATIENCE_S` at a time: a flood of critical work slows them, and does not starve them.
"""

from __future__ import annotations

import asyncio

from sendwright.model.notification import Priority

PATIENCE_S = 0.025
GROUP = 8
"""Parcels begun between two looks."""


class RightOfWay:
    """Counts what is critical and under way in this process."""

    def __init__(self) -> None:
        self._under_way = 0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def taken(self) -> bool:
        return self._under_way > 0

    def enter(self, priority: Priority) -> None:
        if priority == Priority.CRITICAL:
            self._under_way += 1

    def leave(self, priority: Priority) -> None:
        if priority != Priority.CRITICAL:
            return
        self._under_way -= 1
        if self._under_way == 0:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def clear(self) -> None:
        """Returns when nothing critical is under way, or `PATIENCE_S` later."""
        if self._under_way == 0:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiter)
        timer = loop.call_later(PATIENCE_S, _enough, waiter)
        try:
            await waiter
        finally:
            timer.cancel()


def _enough(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
