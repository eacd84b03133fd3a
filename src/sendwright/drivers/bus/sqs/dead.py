"""The dead queue: what was handed out too often goes to our own quarantine, where people find it."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels, Delivery
from sendwright.engine.telling import Tell, Trouble
from sendwright.model.parcel import split

PROBLEM = "it was delivered too often and never done"


class DeadQueue(Protocol):
    """What `bury` needs of the bus."""

    async def take_dead(self) -> Delivery: ...

    async def done(self, delivery: Delivery) -> None: ...


async def bury(bus: DeadQueue, dead: DeadParcels, clock: Clock, tell: Tell) -> None:
    """Moves everything that dies on the bus into the quarantine, parcel by parcel, as long as it runs. A bundle leaves the
    bus when all of its parcels are kept; keeping one twice keeps it once."""
    while True:
        found = await persist(bus.take_dead, clock, tell, "dead queue")
        tell(Trouble("bus", f"{found.lane}: {found.count} parcels are dead: {PROBLEM}"))
        for raw in split(found.body):
            keep = partial(dead.keep, found.lane, raw, PROBLEM, clock.now_ms())
            await persist(keep, clock, tell, "dead parcels")
        await persist(partial(bus.done, found), clock, tell, "dead queue")
