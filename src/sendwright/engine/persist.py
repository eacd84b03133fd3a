"""Keeps trying what must be written: the engine never gives work up because its own store is down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sendwright.engine.ports import Clock
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unavailable

T = TypeVar("T")

_FIRST_S = 0.1
_LONGEST_S = 2.0


async def persist(write: Callable[[], Awaitable[T]], clock: Clock, tell: Tell, where: str) -> T:
    """The result of `write`, however often it takes. `write` must be safe to repeat."""
    pause_s = _FIRST_S
    while True:
        try:
            return await write()
        except Unavailable as error:
            tell(Trouble(where, str(error)))
            await clock.sleep(pause_s)
            pause_s = min(_LONGEST_S, 2 * pause_s)
