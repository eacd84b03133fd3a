"""plan: an accepted notification becomes messages, and those that may go at once become parcels in their lanes.

Works on whole bundles: one transaction for all their notifications, one publish per lane. The store has the last word:
what a redelivered bundle finds planned already is published by what is stored. The bundle is done when all of that is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from sendwright.engine.crash import crashpoint
from sendwright.engine.fleet import Fleet
from sendwright.engine.persist import persist
from sendwright.engine.ports import Bus, Clock, Delivery, Ledger
from sendwright.engine.sieve import Sieve
from sendwright.engine.telling import Settled, Tell
from sendwright.model.notification import Priority, Stored
from sendwright.model.parcel import Intake, Parcel, lane, pack, read, unbundle
from sendwright.model.records import Plan
from sendwright.policy.planning import parked, plan_of

_PAYLOAD = msgspec.json.Decoder(Stored)


class Planner:
    """The second story."""

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        sieve: Sieve,
        fleet: Fleet,
        clock: Clock,
        tell: Tell,
        ttl_ms: Mapping[str, int],
        crowded: Callable[[str, Priority], bool] = lambda *_: False,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._sieve = sieve
        self._fleet = fleet
        self._clock = clock
        self._tell = tell
        self._ttl_ms = ttl_ms
        self._crowded = crowded

    async def plan(self, delivery: Delivery) -> None:
        """Takes one bundle of the intake as far as its lanes. One that broke before is taken apart."""
        plans = None if delivery.redelivered else self._read(delivery.body)
        if plans is None:
            crashpoint("plan.each")
            await self._sieve.each(delivery, lambda raw: self._plan_of(read(Intake, raw), {}), lambda plan: self._carry_out([plan]))
        else:
            crashpoint("plan.taken")
            await self._carry_out(plans)
        crashpoint("plan.published")
        await persist(lambda: self._bus.done(delivery), self._clock, self._tell, "plan")
        crashpoint("plan.done")

    async def _carry_out(self, plans: Sequence[Plan]) -> None:
        crashpoint("plan.planning")
        parcels = await persist(lambda: self._ledger.plan(plans), self._clock, self._tell, "plan")
        crashpoint("plan.planned")
        await self._publish([parcel for group in parcels for parcel in group])
        self._report(plans)

    async def _publish(self, parcels: Sequence[Parcel]) -> None:
        lanes: dict[str, list[bytes]] = defaultdict(list)
        for parcel in parcels:
            lanes[lane(parcel.channel, parcel.priority)].append(pack(parcel))
        for name, packed in lanes.items():
            crashpoint("plan.publishing")
            await persist(lambda name=name, packed=packed: self._bus.publish(name, packed), self._clock, self._tell, "plan")  # type: ignore[misc]

    def _read(self, body: bytes) -> list[Plan] | None:
        try:
            crowded: dict[tuple[str, Priority], bool] = {}
            return [self._plan_of(intake, crowded) for intake in unbundle(Intake, body)]
        except (msgspec.MsgspecError, ValueError):
            return None

    def _plan_of(self, intake: Intake, crowded: dict[tuple[str, Priority], bool]) -> Plan:
        """`crowded`: what was found out for this bundle so far; its lanes stay as they are until it is published."""
        plan = plan_of(intake, _PAYLOAD.decode(intake.body), self._fleet.channels, self._ttl_ms)
        full = None
        for birth in plan.births:
            if birth.steps:
                place = (birth.steps[0].channel, plan.priority)
                if place not in crowded:
                    crowded[place] = self._crowded(*place)
                if crowded[place]:
                    full = {place[0]} if full is None else full | {place[0]}
        return plan if full is None else parked(plan, full)

    def _report(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            for birth in plan.births:
                if birth.state.settled:
                    self._tell(Settled(birth.id, birth.state))
