"""The store's clock: where processes share a store, the only one by which anything is due or expires.

A process asks the store for its time when it opens it, and hears it with every answer of the accord (concord.py), a few times a
second. In between it counts on by its own monotonic clock, which nobody sets. What its machine's wall clock shows is of no
account, however wrong it is or is set; and while the store is away, or slow, its time goes on here. A step of the store's own
clock is one of all processes at once, and is treated as any (drift.py).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from sendwright.engine.ports import Clock


class StoreClock:
    """What the store's clock shows, on this process's own. Every answer bounds it: it was read after the question and before
    the answer. The tightest bounds count, widened by what two clocks drift apart meanwhile."""

    _DRIFT = 2e-4

    def __init__(self) -> None:
        """Before the first answer it shows nothing of use."""
        self._ahead = 0.0
        self._width = float("inf")
        self._at = 0.0

    def seen(self, shown: float, asked_at: float, answered_at: float) -> None:
        low, high = shown - answered_at, shown - asked_at
        width = self._width + self._DRIFT * max(0.0, answered_at - self._at)
        outside = low > self._ahead + width / 2 or high < self._ahead - width / 2
        if high - low <= width or outside:
            self._ahead, self._width, self._at = (low + high) / 2, high - low, answered_at

    def there(self, here: float) -> float:
        """What the store's clock shows when this process's own does `here`: seconds since 1970."""
        return here + self._ahead

    def here(self, there: float) -> float:
        """The time on this process's clock at which the store's shows `there`."""
        return there - self._ahead


class StoreTime:
    """ports.Clock: the store's time, counted by this process's own clock."""

    def __init__(self, clock: Clock, store: StoreClock) -> None:
        self._clock = clock
        self._store = store
        self.monotonic: Callable[[], float] = clock.monotonic
        self.sleep: Callable[[float], Coroutine[Any, Any, None]] = clock.sleep

    def now_ms(self) -> int:
        return int(self._store.there(self.monotonic()) * 1000)

    def machine_ahead_s(self) -> float:
        """By how much the machine's wall clock is ahead of the store's; negative where it is behind."""
        return (self._clock.now_ms() - self.now_ms()) / 1000
