"""observe: what vendors report joins the attempts it speaks of, and moves their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from sendwright.engine.crash import crashpoint
from sendwright.engine.persist import persist
from sendwright.engine.ports import Bus, Clock, DeadParcels, Delivery, Ledger
from sendwright.engine.telling import Settled, Tell
from sendwright.model.parcel import Sighting, split, unbundle


class Observer:
    """The fifth story."""

    def __init__(
        self, bus: Bus, ledger: Ledger, quarantine: DeadParcels, clock: Clock, tell: Tell, poke: Callable[[], None]
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._quarantine = quarantine
        self._clock = clock
        self._tell = tell
        self._poke = poke

    async def observe(self, delivery: Delivery) -> None:
        """Joins one bundle of receipts; it is done when each has joined, or was found to be news of nobody."""
        try:
            sightings: Sequence[Sighting] = unbundle(Sighting, delivery.body)
        except msgspec.MsgspecError:
            crashpoint("observe.unreadable")
            sightings = await self._read_each(delivery)
        crashpoint("observe.taken")
        await asyncio.gather(*(self._join(sighting) for sighting in sightings))
        crashpoint("observe.joined")
        await persist(lambda: self._bus.done(delivery), self._clock, self._tell, "observe")
        crashpoint("observe.done")

    async def _join(self, sighting: Sighting) -> None:
        now = self._clock.now_ms()
        crashpoint("observe.joining")
        moved = await persist(lambda: self._ledger.observe(sighting, now), self._clock, self._tell, "observe")
        if moved.message is not None and moved.after is not None and moved.after != moved.before:
            self._tell(Settled(moved.message, moved.after))
        if moved.poke:
            self._poke()

    async def _read_each(self, delivery: Delivery) -> list[Sighting]:
        sightings = []
        for raw in split(delivery.body):
            try:
                sightings.append(msgspec.json.decode(raw, type=Sighting))
            except msgspec.MsgspecError as error:
                crashpoint("observe.quarantine")
                await self._keep(delivery.lane, raw, str(error))
        return sightings

    async def _keep(self, lane: str, raw: bytes, problem: str) -> None:
        now = self._clock.now_ms()
        crashpoint("observe.keeping")
        await persist(lambda: self._quarantine.keep(lane, raw, problem, now), self._clock, self._tell, "quarantine")
