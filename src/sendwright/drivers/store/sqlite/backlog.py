"""What waits for the writer, and in which order it goes: urgent work first and alone, the rest in worthwhile batches.

Pure but for its queues: time is an argument. The event loop adds, the writer's thread takes; each end of a deque is
touched by one of them only.

Urgent work comes in short chains (accepted, planned, published, claimed), each link a millisecond after the last one's
commit. So after an urgent flush the rest holds back for `HOLD_S`, lest a long flush get in between; it never holds back
longer than `PATIENCE_S`, and for `CALM_S` after urgent work its flushes stay small.

What is wanted soon is one write that somebody waits for, and no chain: who signs in, a cancellation, a switch. It is the first of
the next flush, and the rest goes with it, for a second of small flushes costs a blast its pace.

The writer asks `pause_s` again after every wake: a bell that was rung before it lay down says nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

FLUSH_MAX = 256
"""Most weight of what is wanted soon in one flush, and of the rest."""
FLUSH_SMALL = 30
CALM_S = 1.0
HOLD_S = 0.003
PATIENCE_S = 0.025
WORTHWHILE = 128
"""A flush of this many items costs each of them little of its fixed price."""
CROWD = 4
"""Items per flush, on average, above which waiting for more is worth it."""
LINGER_S = 0.008

T = TypeVar("T")


class Backlog(Generic[T]):
    """`weight` says how many rows' worth of work an item is."""

    def __init__(self, weight: Callable[[T], int]) -> None:
        self._weight = weight
        self._urgent: deque[T] = deque()
        self._soon: deque[T] = deque()
        self._rest: deque[T] = deque()
        self._urgent_at = float("-inf")
        self._held_since: float | None = None
        self._lingers_until: float | None = None
        self._pace = 0.0

    def __bool__(self) -> bool:
        return bool(self._urgent or self._soon or self._rest)

    @property
    def urgent(self) -> bool:
        return bool(self._urgent)

    def add(self, item: T, *, urgent: bool, soon: bool = False) -> None:
        (self._urgent if urgent else self._soon if soon else self._rest).append(item)

    def pause_s(self, now: float) -> float:
        """How much longer it is worth waiting before the next flush, unless urgent work comes; 0: not at all."""
        if self._urgent or not self:
            return 0.0
        if now - self._urgent_at < HOLD_S and not self._overdue(now):
            return self._urgent_at + HOLD_S - now
        if self._soon:
            return 0.0
        if self._pace <= CROWD or len(self._rest) >= min(WORTHWHILE, self._room(now)):
            return 0.0  # nothing to gain: for more than a flush takes there is no use in waiting
        if self._lingers_until is None:
            self._lingers_until = now + LINGER_S
        return max(0.0, self._lingers_until - now)

    def take(self, now: float) -> list[T]:
        """The next flush."""
        batch: list[T] = []
        while self._urgent:
            batch.append(self._urgent.popleft())
        urgent = bool(batch)
        self._lingers_until = None
        if urgent:
            self._urgent_at = now
            if self._rest and self._held_since is None:
                self._held_since = now
        self._fill(batch, self._soon, self._room(now))
        if not urgent or self._overdue(now):
            self._held_since = None
            self._fill(batch, self._rest, self._room(now))
        if batch:
            self._pace += 0.2 * (len(batch) - self._pace)
        return batch

    def flushed(self, began: float, now: float) -> None:
        """The flush that was taken at `began` is over: what follows urgent work is waited for from here on."""
        if self._urgent_at == began:
            self._urgent_at = now

    def _fill(self, batch: list[T], line: deque[T], room: int) -> None:
        while line and room > 0:
            item = line.popleft()
            room -= self._weight(item)
            batch.append(item)

    def _room(self, now: float) -> int:
        return FLUSH_MAX if now - self._urgent_at > CALM_S else FLUSH_SMALL

    def _overdue(self, now: float) -> bool:
        return self._held_since is not None and now - self._held_since > PATIENCE_S
