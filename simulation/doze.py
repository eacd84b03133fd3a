"""Polling that costs nothing while there is nothing to see.

The promoter and the repairer look every second. A look that would find what the last one found changes nothing, so it is
left out: the sleeper dozes until the store has something for it, and wakes at the second at which it would have looked.
A repairer is told afterwards that it looked all the while: its silence would else count as an outage.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from sendwright.engine.repair import EVERY_S, Repairer
from sendwright.engine.schedule import IDLE_S
from simulation.loop import Callback

if TYPE_CHECKING:
    from simulation.process import Life

Wakes = Callable[["Life"], float | None]
"""When there will be something to see for this life: loop seconds, past ones for now; None: not as things stand."""

PERIOD_S = min(EVERY_S, IDLE_S)
SAME_S = 1e-6
"""Times closer than this are one."""


class Doze:
    """ports.Clock for whoever polls."""

    def __init__(self, life: Life, wakes: Wakes) -> None:
        self._life = life
        self._world = life.world
        self._wakes = wakes
        self._since_s = 0.0
        self._alarm: Callback | None = None
        self._sleeper: asyncio.Future[None] | None = None
        self._gap = False
        self.repairs: Repairer | None = None

    def now_ms(self) -> int:
        return self._life.clock.now_ms()

    def monotonic(self) -> float:
        return self._world.loop.time()

    async def sleep(self, seconds: float) -> None:
        if seconds < PERIOD_S:
            await asyncio.sleep(seconds)
            return
        self._since_s = self._world.loop.time()
        self._sleeper = self._world.loop.create_future()
        dozing = self._world.dozing if self.repairs is None else self._world.dozing_repairers
        dozing[self] = None
        self.look()
        try:
            await self._sleeper
        finally:
            dozing.pop(self, None)
            if self._alarm is not None:
                self._alarm.cancel()

    def of(self, life: Life) -> bool:
        return self._life is life

    @property
    def alarmed(self) -> bool:
        """Whether it is known when it will look next."""
        return self._alarm is not None

    def over(self) -> None:
        """Its life is: nobody sleeps here any more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def stopped(self) -> None:
        """Its life is paused: it looked until now, and then there is a gap."""
        self._seen(self._world.loop.time())
        self._gap = True

    def _seen(self, now_s: float) -> None:
        if self.repairs is not None and self.repairs._last is not None and not self._gap:
            self.repairs._last = max(self.repairs._last, now_s - PERIOD_S)

    def look(self, *, anyway: bool = False) -> None:
        """Sets the alarm to the first look that will see something new; `anyway`: to the next one."""
        if self._sleeper is None or self._sleeper.done():
            return
        now_s = self._world.loop.time()
        at_s = now_s if anyway else self._wakes(self._life)
        rings_s = None
        if at_s is not None:
            turns = max(1, math.ceil((max(at_s, now_s) - self._since_s) / PERIOD_S - SAME_S))
            rings_s = self._since_s + turns * PERIOD_S
        if self._alarm is not None:
            if rings_s == self._alarm.when() and not anyway:
                return
            self._alarm.cancel()
            self._alarm = None
        if rings_s is not None:
            self._alarm = self._world.at(rings_s, self._ring, anyway)

    def _ring(self, anyway: bool) -> None:
        self._alarm = None
        sleeper, now_s = self._sleeper, self._world.loop.time()
        if sleeper is None or sleeper.done():
            return
        wakes_s = self._wakes(self._life)
        if not anyway and (wakes_s is None or wakes_s > now_s + SAME_S):
            self.look()
            return
        self._seen(now_s)
        self._gap = self._life.stopped
        sleeper.set_result(None)
