"""What a worker has in hand: of each lane no more than will have a place soon, of all of them no more than it can work at.

A taken bundle is done when each of its parcels is handled: claimed, parked or dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from sendwright.engine.crash import crashpoint
from sendwright.model.notification import Priority
from sendwright.policy.limit import Reserve, ceiling


class Hand:
    """What one taker holds: counts parcels, and wakes the taker when there is room again."""

    def __init__(self, most: Callable[[], int]) -> None:
        """`most`: how many it may hold now; an empty hand takes a bundle in any case."""
        self._most = most
        self._held = 0
        self._usual = 1
        """So many may be in the next bundle, by those of late: the greatest is forgotten one by one."""
        self._room = asyncio.Event()
        self._room.set()
        self.idle = False
        """Its taker has asked the lane for more, and there is none."""

    async def room(self) -> None:
        crashpoint("hands.full")
        await self._room.wait()

    def take(self, count: int) -> None:
        self._held += count
        self._usual = max(1, count, self._usual - 1)
        if not self._fits():
            self._room.clear()

    def drop(self) -> None:
        self._held -= 1
        if not self._room.is_set() and self._fits():
            self._room.set()

    def fits(self, count: int) -> bool:
        """Whether so many fit beside what the taker, who has asked already, may bring."""
        return self._held + self._usual + count <= self._most()

    def _fits(self) -> bool:
        return self._held <= 0 or self._held + self._usual <= self._most()


class Flight:
    """How many parcels may be in the works at once: all priorities together, with places kept for the upper ones."""

    def __init__(self, concurrency: int, reserve: Reserve) -> None:
        self._most = {priority: ceiling(concurrency, priority, reserve) for priority in Priority}
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {priority: deque() for priority in Priority}
        self._count = 0

    async def enter(self, priority: Priority) -> None:
        while self._count >= self._most[priority]:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[priority].append(waiter)
            crashpoint("hands.no_place")
            await waiter
        self._count += 1

    def leave(self) -> None:
        """Lets the first of the highest priority that waits look again."""
        self._count -= 1
        for waiting in self._waiting.values():
            while waiting:
                waiter = waiting.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return


class Handful:
    """A taken bundle: done when each of its parcels is handled, given back when one of them can't be."""

    def __init__(self, count: int, drop: Callable[[], None], done: Callable[[], None], back: Callable[[], None]) -> None:
        self._left = count
        self._drop = drop
        self._done = done
        self._back: Callable[[], None] | None = back

    def handled(self) -> None:
        self._drop()
        self._left -= 1
        if self._left == 0:
            self._done()

    def broken(self) -> None:
        """This one stays in the bundle, which is never done by this taker; the first says so."""
        self._drop()
        back, self._back = self._back, None
        if back is not None:
            back()
