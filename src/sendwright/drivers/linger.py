"""Company for a flush: where flushes carry several items each, the next one waits a few milliseconds for more of them.

A flush has a fixed price, on both sides of the line; what it carries adds little. Under load that price is most of the cost when
every flush leaves as soon as the one before is over. While there is little to do nobody waits, and what is urgent never does: that
is for the caller to see to.
"""

from __future__ import annotations

import asyncio

CROWD = 4
"""Items per flush, on average, above which waiting for more is worth it."""
LINGER_S = 0.008
WEIGHT = 0.2
"""How much the last flush counts in that average."""


class Linger:
    """One stream of flushes, of which one at a time may wait. `worthwhile`: a flush of so many items goes at once."""

    def __init__(self, worthwhile: int) -> None:
        self._worthwhile = worthwhile
        self._pace = 0.0
        self._waiting: asyncio.Future[None] | None = None

    async def wait(self, gathered: int) -> None:
        """Before a flush of what has gathered so far."""
        if self._pace <= CROWD or gathered >= self._worthwhile:
            return
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(LINGER_S, self.go)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    @property
    def waiting(self) -> bool:
        return self._waiting is not None

    def grown(self, gathered: int) -> None:
        """More has come, and it is so much now."""
        if self._waiting is not None and gathered >= self._worthwhile:
            self.go()

    def go(self) -> None:
        """Ends the wait, if there is one."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def flushed(self, items: int) -> None:
        """So many went together."""
        self._pace += WEIGHT * (items - self._pace)
