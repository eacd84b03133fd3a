"""The dead queue: what was handed out too often is tried alone, or goes to our own quarantine, where people find it."""

from __future__ import annotations

from typing import Protocol

from sendwright.engine.exhume import Lanes, exhume
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels, Delivery
from sendwright.engine.telling import Tell
from sendwright.model.parcel import split

PROBLEM = "it was delivered too often and never done"


class DeadQueue(Lanes, Protocol):
    """What `bury` needs of the bus."""

    async def take_dead(self) -> Delivery: ...


async def bury(bus: DeadQueue, dead: DeadParcels, clock: Clock, tell: Tell) -> None:
    """Empties the dead queue as long as it runs, as many processes at once as there are (engine/exhume.py)."""
    while True:
        found = await persist(bus.take_dead, clock, tell, "dead queue")
        await exhume(bus, dead, clock, tell, found, split(found.body), PROBLEM)
