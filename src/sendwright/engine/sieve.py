"""Bundles that can't be handled as one: what can be read of them, one parcel at a time; the rest is kept with the dead
letters. So a parcel that nobody can read, or that breaks whoever takes it, costs nobody else.

One that ends the whole process is known by a count in the store. A bundle that comes again is counted before it is touched,
and handled as any: mostly somebody was killed who had it in hand. Where it was counted already, its parcels are set about one at
a time, no other in this process beside it, each counted before and forgotten after; who has been counted `TRIES` times and
never forgotten has ended as many processes alone, and is kept, its count with it. The others of its bundle go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from sendwright.engine.crash import crashpoint
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels, Delivery
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import where
from sendwright.model.parcel import Strange, split

T = TypeVar("T")

TRIES = 3
"""So often is a parcel tried alone that breaks its story, or ends whoever takes it, before it is kept."""
PAUSE_S = 1.0
ALONE_S = 0.25
"""Who has not ended us by now, with the loop going on, will not. (A parcel may wait for its provider's line, and whoever is
killed meanwhile was not killed by it.)"""
DEADLY = "it ended whoever took it"


class Sieve:
    """What the stories of one process share for bundles that broke."""

    def __init__(self, dead: DeadParcels, clock: Clock, tell: Tell, process: str) -> None:
        """`process`: this incarnation's name."""
        self._dead = dead
        self._process = process
        self._clock = clock
        self._tell = tell
        self._one = asyncio.Lock()

    async def suspected(self, delivery: Delivery) -> bool:
        """Counts a bundle that has come again; True where that is not for the first time, so that it must be taken `apart`."""
        crashpoint("sieve.counting")
        return await self._tried(delivery.lane, delivery.body) > 0

    async def cleared(self, delivery: Delivery) -> None:
        """Such a bundle is handled."""
        crashpoint("sieve.clearing")
        await self._cleared(delivery.lane, delivery.body)

    async def readable(self, delivery: Delivery, read: Callable[[bytes], T]) -> list[tuple[bytes, T]]:
        """The parcels that `read` takes, each with its bytes."""
        found = []
        for raw in split(delivery.body):
            crashpoint("sieve.unreadable")
            parcel = await self._read(delivery.lane, raw, read)
            if parcel is not None:
                found.append((raw, parcel))
        return found

    async def each(self, delivery: Delivery, read: Callable[[bytes], T], story: Callable[[T], Awaitable[None]]) -> None:
        """Runs the story for each parcel alone, all at the same time; what breaks it again and again is kept. Of a bundle that
        has come again more than once, one after the other."""
        crashpoint("sieve.suspecting")
        if delivery.redelivered and await self.suspected(delivery):
            crashpoint("sieve.taking_apart")
            await self.apart(delivery, read, story)
        else:
            crashpoint("sieve.reading")
            found = await self.readable(delivery, read)
            crashpoint("sieve.read")
            await asyncio.gather(*(self._alone(delivery.lane, raw, parcel, story) for raw, parcel in found))
        if delivery.redelivered:
            crashpoint("sieve.handled")
            await self.cleared(delivery)

    async def apart(self, delivery: Delivery, read: Callable[[bytes], T], story: Callable[[T], Awaitable[None]]) -> None:
        """One parcel after the other, and of this process's suspects only one at a time: if the process ends, that one ended it.
        Who was lived with for `ALONE_S` is none any more, and finishes beside the next. The bundle is still to be `cleared`."""
        left: list[asyncio.Task[None]] = []
        try:
            for raw in split(delivery.body):
                crashpoint("sieve.next")
                async with self._one:
                    crashpoint("sieve.alone")
                    left += await self._suspect(delivery.lane, raw, read, story)
            crashpoint("sieve.apart")
            await asyncio.gather(*left)
        finally:
            for work in left:
                work.cancel()

    async def _suspect(
        self, lane: str, raw: bytes, read: Callable[[bytes], T], story: Callable[[T], Awaitable[None]]
    ) -> list[asyncio.Task[None]]:
        """Sets about one of them; the work that is not done yet, and has ended nobody."""
        crashpoint("sieve.trying")
        if await self._tried(lane, raw) >= TRIES:
            self._tell(Trouble(lane, DEADLY))
            crashpoint("sieve.deadly")
            await self._keep(lane, raw, DEADLY)
            return []  # its count stays: another of its bundle may bring the bundle back
        crashpoint("sieve.harmless")
        parcel = await self._read(lane, raw, read)
        left: set[asyncio.Task[None]] = set()
        if parcel is not None:
            work = asyncio.ensure_future(self._alone(lane, raw, parcel, story))
            try:
                crashpoint("sieve.suspect")
                done, left = await asyncio.wait({work}, timeout=ALONE_S)
                for one in done:
                    one.result()
            except asyncio.CancelledError:
                work.cancel()
                raise
        crashpoint("sieve.tried")
        await self._cleared(lane, raw)
        return list(left)

    async def _read(self, lane: str, raw: bytes, read: Callable[[bytes], T]) -> T | None:
        """None where it can't be read, and is kept."""
        try:
            return read(raw)
        except Exception as error:  # noqa: BLE001 — reading it again would break again
            words = str(error) if isinstance(error, msgspec.MsgspecError | ValueError) else type(error).__name__
            crashpoint("sieve.putting_aside")
            await self._keep(lane, raw, words, error.version if isinstance(error, Strange) else None)
            return None

    async def _tried(self, lane: str, body: bytes) -> int:
        now = self._clock.now_ms()
        crashpoint("sieve.asking")
        return await persist(lambda: self._dead.tried(lane, body, self._process, now), self._clock, self._tell, "dead parcels")

    async def _cleared(self, lane: str, body: bytes) -> None:
        crashpoint("sieve.forgetting")
        await persist(lambda: self._dead.cleared(lane, body), self._clock, self._tell, "dead parcels")

    async def _alone(self, lane: str, raw: bytes, parcel: T, story: Callable[[T], Awaitable[None]]) -> None:
        for left in reversed(range(TRIES)):
            try:
                crashpoint("sieve.story")
                await story(parcel)
            except Exception as error:  # noqa: BLE001 — it must cost nobody else, whatever broke
                problem, place = f"it broke its story: {type(error).__name__}", where(error)
            else:
                return
            self._tell(Trouble(lane, f"it broke its story: {place}"))
            if left:
                crashpoint("sieve.pausing")
                await self._clock.sleep(PAUSE_S)
        crashpoint("sieve.broken")
        await self._keep(lane, raw, problem)

    async def _keep(self, lane: str, raw: bytes, problem: str, version: int | None = None) -> None:
        now = self._clock.now_ms()
        crashpoint("sieve.keeping")
        await persist(lambda: self._dead.keep(lane, raw, problem, now, version), self._clock, self._tell, "dead parcels")
