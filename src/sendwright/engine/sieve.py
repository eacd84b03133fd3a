"""Bundles that can't be handled as one: what can be read of them, one parcel at a time; the rest is kept with the dead
letters. So a parcel that nobody can read, or that breaks whoever takes it, costs nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from sendwright.engine.crash import crashpoint
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels, Delivery
from sendwright.engine.telling import Tell, Trouble
from sendwright.model.parcel import split

T = TypeVar("T")

TRIES = 3
"""So often is a parcel tried that breaks its story alone, before it is kept."""
PAUSE_S = 1.0


class Sieve:
    """What the stories share for bundles that broke."""

    def __init__(self, dead: DeadParcels, clock: Clock, tell: Tell) -> None:
        self._dead = dead
        self._clock = clock
        self._tell = tell

    async def readable(self, delivery: Delivery, read: Callable[[bytes], T]) -> list[tuple[bytes, T]]:
        """The parcels that `read` takes, each with its bytes."""
        found = []
        for raw in split(delivery.body):
            try:
                found.append((raw, read(raw)))
            except Exception as error:  # noqa: BLE001 — reading it again would break again
                words = str(error) if isinstance(error, msgspec.MsgspecError | ValueError) else type(error).__name__
                crashpoint("sieve.unreadable")
                await self._keep(delivery.lane, raw, words)
        return found

    async def each(self, delivery: Delivery, read: Callable[[bytes], T], story: Callable[[T], Awaitable[None]]) -> None:
        """Runs the story for each parcel alone, all at the same time; what breaks it again and again is kept."""
        crashpoint("sieve.reading")
        found = await self.readable(delivery, read)
        crashpoint("sieve.read")
        await asyncio.gather(*(self._alone(delivery.lane, raw, parcel, story) for raw, parcel in found))
        crashpoint("sieve.handled")

    async def _alone(self, lane: str, raw: bytes, parcel: T, story: Callable[[T], Awaitable[None]]) -> None:
        for left in reversed(range(TRIES)):
            try:
                crashpoint("sieve.story")
                await story(parcel)
            except Exception as error:  # noqa: BLE001 — it must cost nobody else, whatever broke
                problem = f"it broke its story: {type(error).__name__}"
            else:
                return
            self._tell(Trouble(lane, problem))
            if left:
                crashpoint("sieve.pausing")
                await self._clock.sleep(PAUSE_S)
        crashpoint("sieve.broken")
        await self._keep(lane, raw, problem)

    async def _keep(self, lane: str, raw: bytes, problem: str) -> None:
        now = self._clock.now_ms()
        crashpoint("sieve.keeping")
        await persist(lambda: self._dead.keep(lane, raw, problem, now), self._clock, self._tell, "dead parcels")
