"""readmit: parcels that were kept because their version was not known go back to their lanes once somebody is here who reads it.

Published, then dropped: a crash in between publishes one twice, and so do two processes that do it at once; its row refuses the
second.
"""

from __future__ import annotations

from functools import partial

from sendwright.engine.persist import persist
from sendwright.engine.ports import Bus, Clock, DeadParcels
from sendwright.engine.telling import Tell
from sendwright.model.parcel import VERSION

LOOK_S = 5.0
SLICE = 100


async def readmit(bus: Bus, dead: DeadParcels, clock: Clock, tell: Tell, version: int = VERSION) -> None:
    """As long as it runs, for what is of this version or an earlier one."""
    while True:
        found = await persist(partial(dead.legible, version, SLICE), clock, tell, "dead parcels")
        for parcel, raw in found:
            await persist(partial(bus.publish, parcel.lane, [raw]), clock, tell, "dead parcels")
            await persist(partial(dead.drop, parcel.id, parcel.at), clock, tell, "dead parcels")
        if len(found) < SLICE:
            await clock.sleep(LOOK_S)
