"""exhume: what the broker gave up on. A bundle of many is put back parcel by parcel, each alone; only what died alone is kept.

A bundle dies with everything in it, and mostly of one. Which one that is, the broker can't know: alone each of them begins to
count anew, and what ends whoever takes it is found out by our own count (sieve.py). All of it may be done twice, by two
processes or by one that was killed on the way: a parcel that comes twice is refused by its row, and what is kept twice is kept
once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Protocol

from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels, Delivery
from sendwright.engine.telling import Tell, Trouble


class Lanes(Protocol):
    """What is needed of the bus."""

    def publish(self, lane: str, parcels: Sequence[bytes]) -> Awaitable[None]: ...

    def done(self, delivery: Delivery) -> Awaitable[None]: ...


async def exhume(
    bus: Lanes, dead: DeadParcels, clock: Clock, tell: Tell, found: Delivery, parcels: Sequence[bytes], problem: str
) -> None:
    """Deals with one bundle of the dead lane. `found.lane` is the one that it died on; without one it is nobody's parcel."""
    alone = len(parcels) == 1 or not found.lane
    tell(Trouble("bus", f"{found.lane}: {len(parcels)} parcels {'are dead' if alone else 'are tried alone'}: {problem}"))
    for raw in parcels:
        put = partial(dead.keep, found.lane, raw, problem, clock.now_ms()) if alone else partial(bus.publish, found.lane, [raw])
        await persist(put, clock, tell, "dead lane")
    await persist(partial(bus.done, found), clock, tell, "dead lane")
