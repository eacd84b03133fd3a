"""What the machine gives: time and randomness."""

from __future__ import annotations

import asyncio
import os
import time

_PAGE = 4096


class SystemClock:
    """ports.Clock, by the machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Randomness:
    """Bytes of the system's cryptographic source, each given out once.

    Drawn in pages, for every draw is a system call that lets go of the interpreter, and getting that back from a busy
    writer takes longer than the call."""

    def __init__(self) -> None:
        self._page = b""
        self._next = 0

    def __repr__(self) -> str:
        return "Randomness()"

    def __call__(self, count: int) -> bytes:
        """`count` bytes, at most 4096."""
        if self._next + count > len(self._page):
            self._page, self._next = os.urandom(_PAGE), 0
        start = self._next
        self._next = start + count
        return self._page[start : self._next]
