"""Steady time: an event loop whose clock runs as the wall's does, but stands still while the loop is held up.

Who waits for two seconds has had two hundred turns in them, on a machine that stalls as well: what happens in time on an idle
machine happens in time on any. It is everybody's time whose timers the loop keeps, so both sides of a test must be on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TURN_S = 0.01
TURN_MAX_S = 0.02
"""More than this does not pass from one look at the clock to the next."""


@asynccontextmanager
async def steady_time() -> AsyncIterator[None]:
    """From now on, for the running loop of asyncio, until it ends."""
    loop = asyncio.get_running_loop()
    wall = loop.time
    now = seen = wall()

    def time() -> float:
        nonlocal now, seen
        at = wall()
        now += min(at - seen, TURN_MAX_S)
        seen = at
        return now

    async def turn() -> None:
        while True:  # else a long wait for a timer would be one turn
            await asyncio.sleep(TURN_S)

    loop.time = time  # type: ignore[method-assign]
    turning = loop.create_task(turn())
    try:
        yield
    finally:
        turning.cancel()
