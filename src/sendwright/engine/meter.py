"""How a provider's rate is kept: by one process for itself, or by all workers together, with cells that the store cuts.

A meter answers at once, always. Where the cells are the store's, somebody must stand in line first; then as many are asked
for as stand there, a few times a second, and what is granted wakes the line.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from msgspec import Struct

from sendwright.engine.ports import Clock
from sendwright.model.notification import Priority
from sendwright.policy.limit import AHEAD_S, IDLE, Rate, Reserve, admit, block_of, leave_share

ASK_S = 0.2
"""Between two questions to the store, when many are asked; somebody urgent asks at once."""
ASKS = 5
"""So many may follow one another without a pause: where little goes on, nobody waits for company."""
REFUSED_S = 0.1
"""Until it asks again at the earliest, when others hold the next cells."""
DEAF_S = 0.5
"""Until it asks again, when the store gave no answer."""
LINE_S = 0.4
"""Lines are filled with the work of so many seconds, over all workers: more would be parked again (defer.SLOT_WAIT_S)."""
TICK_S = 0.001
"""Timers of event loops are no finer."""
SURPLUS = 1.1
"""So much faster than the rate are lines filled, until they are full."""


class Meter(Protocol):
    """Of one account. Times are this process's monotonic seconds."""

    def take(self, priority: Priority, now: float) -> bool:
        """Whether a call may go now; then it is counted."""
        ...

    def free_at(self, priority: Priority, now: float) -> float:
        """When a call may go at the earliest, as far as is known; `now` when that hangs on others."""
        ...

    def ahead(self, now: float, horizon_s: float) -> int:
        """How many more may be brought into its lines to go within the horizon."""
        ...

    def brought(self, count: int, now: float) -> None:
        """So many were."""
        ...

    def stand(self, now: float) -> None:
        """Somebody stands in line."""
        ...

    def close(self) -> None:
        """It is used no more."""
        ...


class OwnMeter:
    """For a process that has the provider to itself."""

    def __init__(self, rate: Rate, reserve: Reserve) -> None:
        self.rate = rate
        self._shares = tuple(leave_share(priority, reserve) for priority in Priority)
        self._tat = IDLE

    def take(self, priority: Priority, now: float) -> bool:
        admission = admit(self._tat, now, self.rate, 1, self._shares[priority])
        self._tat = admission.tat
        return admission.allowed

    def free_at(self, priority: Priority, now: float) -> float:
        return admit(self._tat, now, self.rate, 1, self._shares[priority]).retry_at

    def ahead(self, now: float, horizon_s: float) -> int:
        ahead = (now + horizon_s - max(now, self._tat)) / self.rate.interval_s
        return int(ahead) if self._tat > now else max(1, int(ahead))

    def brought(self, count: int, now: float) -> None:
        """It sees them itself when they go."""

    def stand(self, now: float) -> None:
        """Nobody has to be asked."""

    def close(self) -> None:
        """Nothing goes on."""


class Foreseen:
    """For who looks on where there is no rate: lines are filled at the pace at which they are thought to empty."""

    def __init__(self, pace: Callable[[float], float]) -> None:
        """`pace`: calls a second at a time; 0 while none may be made."""
        self._pace = pace
        self._tat = IDLE

    def take(self, priority: Priority, now: float) -> bool:
        return True

    def free_at(self, priority: Priority, now: float) -> float:
        return now

    def ahead(self, now: float, horizon_s: float) -> int:
        return int((now + horizon_s - max(now, self._tat)) * self._pace(now))

    def brought(self, count: int, now: float) -> None:
        pace = self._pace(now)
        self._tat = max(now, self._tat) + (count / pace if pace else 0)

    def stand(self, now: float) -> None:
        """Nobody has to be asked."""

    def close(self) -> None:
        """Nothing goes on."""


class Leased(Struct, frozen=True):
    """Cells that were cut for this process (or none), on its own clock. `open_at`: from when on nobody holds them."""

    first: float
    count: int
    again_at: float
    open_at: float


class InLine(NamedTuple):
    """Who waits for a provider: here, whether somebody urgent does, everywhere, and in how many processes."""

    here: int
    urgent: bool
    everywhere: int
    sharers: int


class SharedMeter:
    """For one of many workers. Its lines' needs are what it asks for, so that hardly a cell is cut in vain."""

    def __init__(
        self,
        rate: Rate,
        lease: Callable[[int, bool], Awaitable[Leased | None]],
        in_line: Callable[[], InLine],
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`lease` is told how many, and whether it is urgent; None: no answer. `wake` lets the line look again."""
        self.rate = rate
        self._lease = lease
        self._in_line = in_line
        self._wake = wake
        self._clock = clock
        self._cells: deque[tuple[float, int]] = deque()
        """Blocks: when the next cell of each is due, and how many it has."""
        self._open_at = IDLE
        self._again_at = IDLE
        self._asks_tat = IDLE
        self._brought_tat = IDLE
        self._ring: asyncio.TimerHandle | None = None
        self._rings_at = math.inf
        self._asking: asyncio.Task[None] | None = None
        self._closed = False

    def take(self, priority: Priority, now: float) -> bool:
        self._forget_late(now)
        if not self._cells or self._cells[0][0] > now:
            return False
        at, count = self._cells[0]
        if count == 1:
            self._cells.popleft()
        else:
            self._cells[0] = (at + self.rate.cell_s, count - 1)
        return True

    def free_at(self, priority: Priority, now: float) -> float:
        self._forget_late(now)
        return max(now, self._cells[0][0] if self._cells else self._open_at - AHEAD_S)

    def ahead(self, now: float, horizon_s: float) -> int:
        if self._open_at - AHEAD_S > now + horizon_s:
            return 0
        cell_s = self.rate.cell_s
        ahead = int((now + horizon_s - max(now - LINE_S, self._brought_tat)) / cell_s)  # who came late to it catches up
        ahead = ahead if self._brought_tat > now else max(1, ahead)
        return max(0, min(ahead, max(1, int(LINE_S / cell_s)) - self._in_line().everywhere))

    def brought(self, count: int, now: float) -> None:
        self._brought_tat = max(now - LINE_S, self._brought_tat) + count * self.rate.cell_s / SURPLUS

    def stand(self, now: float) -> None:
        line = self._in_line()
        if self._closed or self._asking is not None or line.here <= self._held(now):
            return
        at = max(self._again_at, IDLE if line.urgent else self._asks_tat - (ASKS - 1) * ASK_S)
        if at <= now:
            self._silence()
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        elif at < self._rings_at:
            self._silence()
            self._rings_at = at
            self._ring = asyncio.get_running_loop().call_later(max(TICK_S, at - now), self._rang)

    def told(self, open_at: float) -> None:
        """From when on nobody holds the cells, as the store has it now."""
        self._open_at = open_at

    def close(self) -> None:
        """Asks for nothing more."""
        self._silence()
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self) -> None:
        try:
            now, line = self._clock.monotonic(), self._in_line()
            want = min(line.here - self._held(now), block_of(self.rate, line.sharers))
            if want > 0:
                self._heard(await self._lease(want, line.urgent), self._clock.monotonic())
        finally:
            self._asking = None
        self._wake()
        self.stand(self._clock.monotonic())

    def _heard(self, leased: Leased | None, now: float) -> None:
        if leased is None:
            self._again_at = now + DEAF_S
            return
        self._open_at = leased.open_at
        if leased.count > 0:
            self._cells.append((leased.first, leased.count))
            self._asks_tat = max(now, self._asks_tat) + ASK_S
        self._again_at = max(leased.again_at, now + REFUSED_S) if leased.count == 0 else IDLE

    def _held(self, now: float) -> int:
        self._forget_late(now)
        return sum(count for _, count in self._cells)

    def _forget_late(self, now: float) -> None:
        """Cells whose time is over: somebody else's may be used at this moment."""
        cell_s, latest = self.rate.cell_s, now - self.rate.late_s
        while self._cells and self._cells[0][0] < latest:
            at, count = self._cells.popleft()
            over = min(count, math.ceil((latest - at) / cell_s))
            if over < count:
                self._cells.appendleft((at + over * cell_s, count - over))

    def _silence(self) -> None:
        if self._ring is not None:
            self._ring.cancel()
        self._ring, self._rings_at = None, math.inf

    def _rang(self) -> None:
        self._silence()
        self.stand(self._clock.monotonic())
