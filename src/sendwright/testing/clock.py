"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from threading import Lock

LOOK_S = 0.02
"""How often a sleeper looks whether the time that it waits for has been passed over."""


class FrozenClock:
    """What `Server` goes by instead of the machine: a `send_at` in an hour is due after `advance(hours=1)`, and not before.

    Only the time that is told stands still. Who waits a second waits a second, or until the clock is advanced by that much: the
    product goes on working. Advance and read it from any thread."""

    def __init__(self, start: datetime | None = None) -> None:
        """`start` must know its zone; now, where it is not given."""
        begun = datetime.now(UTC) if start is None else start
        if begun.tzinfo is None:
            raise ValueError("the start must have a time zone")
        self._lock = Lock()
        self._wall_ms = round(begun.timestamp() * 1000)
        self._monotonic = time.monotonic()

    def __repr__(self) -> str:
        return f"FrozenClock({self.now().isoformat()})"

    def now(self) -> datetime:
        """The time that it shows, in UTC."""
        return datetime.fromtimestamp(self._wall_ms / 1000, UTC)

    def advance(self, **by: float) -> None:
        """Goes on by so many `days`, `hours`, `minutes`, `seconds`. Raises `ValueError` for a step back."""
        step = timedelta(**by)
        if step < timedelta():
            raise ValueError("a clock goes forwards")
        with self._lock:
            self._wall_ms += step // timedelta(milliseconds=1)
            self._monotonic += step.total_seconds()

    # What the product asks of a clock.

    def now_ms(self) -> int:
        return self._wall_ms

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        over, wake_at = time.monotonic() + seconds, self._monotonic + seconds
        while self._monotonic < wake_at and (left_s := over - time.monotonic()) > 0:  # noqa: ASYNC110 -- it is advanced from other threads
            await asyncio.sleep(min(LOOK_S, left_s))
        await asyncio.sleep(0)
