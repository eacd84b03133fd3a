"""observe: what vendors report joins the attempts it speaks of, and moves their messages; what people say is heard (hear.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from sendwright.engine.crash import crashpoint
from sendwright.engine.hear import Listener
from sendwright.engine.persist import persist
from sendwright.engine.ports import Bus, Clock, Delivery, Ledger
from sendwright.engine.sieve import Sieve
from sendwright.engine.telling import Settled, Tell
from sendwright.model.parcel import Sighting, read, unbundle
from sendwright.model.records import Sighted


class Observer:
    """The fifth story."""

    def __init__(
        self, bus: Bus, ledger: Ledger, sieve: Sieve, clock: Clock, tell: Tell, poke: Callable[[], None], listener: Listener
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._sieve = sieve
        self._clock = clock
        self._tell = tell
        self._poke = poke
        self._listener = listener

    async def observe(self, delivery: Delivery) -> None:
        """Joins one bundle of receipts; it is done when each has joined, or was found to be news of nobody.
        One that broke before is taken apart."""
        sightings = None if delivery.redelivered else _readable(delivery)
        if sightings is None:
            crashpoint("observe.each")
            await self._sieve.each(delivery, lambda raw: read(Sighting, raw), self._join_again)
        else:
            crashpoint("observe.taken")
            await asyncio.gather(*(self._join(sighting) for sighting in sightings))
        crashpoint("observe.joined")
        await persist(lambda: self._bus.done(delivery), self._clock, self._tell, "observe")
        crashpoint("observe.done")

    def _join_again(self, sighting: Sighting) -> Awaitable[None]:
        return self._join(sighting, again=True)

    async def _join(self, sighting: Sighting, *, again: bool = False) -> None:
        """`again`: it may have joined already, and whoever took it did not finish."""
        now = self._clock.now_ms()
        crashpoint("observe.joining")
        moved = await self._joined(sighting, now, again=again)
        if moved is None:
            return
        if moved.message is not None and moved.after is not None and moved.after != moved.before:
            self._tell(Settled(moved.message, moved.after))
        if moved.poke:
            self._poke()

    def _joined(self, sighting: Sighting, now: int, *, again: bool) -> Awaitable[Sighted | None]:
        """What a receipt moved; None for what a person says, which is heard."""
        if sighting.said is not None:
            return self._listener.take(sighting, sighting.said, now, again=again)
        return persist(lambda: self._ledger.observe(sighting, now), self._clock, self._tell, "observe")


def _readable(delivery: Delivery) -> list[Sighting] | None:
    try:
        return unbundle(Sighting, delivery.body)
    except msgspec.MsgspecError:
        return None
