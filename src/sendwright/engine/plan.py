"""plan: an accepted notification becomes messages, and those that may go at once become parcels in their lanes.

Works on whole bundles: one transaction for all their notifications, one publish per lane. The store has the last word:
what a redelivered bundle finds planned already is published by what is stored. The bundle is done when all of that is.

Parcels of a fresh bundle that the worker can deliver at once go past their lanes (shortcut.py); whoever takes them says when
the bundle is done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from sendwright.engine.acquaint import Acquaintance, Naming
from sendwright.engine.crash import crashpoint
from sendwright.engine.fleet import Fleet
from sendwright.engine.persist import persist
from sendwright.engine.ports import Bus, Clock, Delivery, Ledger
from sendwright.engine.shortcut import Shortcut
from sendwright.engine.sieve import Sieve
from sendwright.engine.telling import Settled, Tell
from sendwright.model.notification import Priority, Stored
from sendwright.model.parcel import Intake, Parcel, lane, pack, read, unbundle
from sendwright.model.records import Plan
from sendwright.policy.planning import held, parked, plan_of

Lanes = dict[str, list[Parcel]]
"""Parcels by their lane."""
Crowds = dict[tuple[str, Priority], bool]
"""Which lanes are crowded, as far as was found out for one bundle; they stay as they are until it is published."""
_PAYLOAD = msgspec.json.Decoder(Stored)


class Draft(Struct, frozen=True):
    """A plan, made without a look at the directory. `naming`: somebody in it is named by an id."""

    plan: Plan
    naming: Naming | None = None


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
        people: Acquaintance,
        crowded: Callable[[str, Priority], bool] = lambda *_: False,
        fence_at: int = 0,
    ) -> None:
        """`fence_at`: what was accepted up to then is held in doubt, for the store was restored."""
        self._bus = bus
        self._ledger = ledger
        self._sieve = sieve
        self._fleet = fleet
        self._clock = clock
        self._tell = tell
        self._ttl_ms = ttl_ms
        self._people = people
        self._crowded = crowded
        self._fence_at = fence_at

    async def plan(self, delivery: Delivery, shortcut: Shortcut | None = None) -> None:
        """Takes one bundle of the intake as far as its lanes, or past them. One that broke before is taken apart."""
        drafts = None if delivery.redelivered else self._read(delivery.body)
        if drafts is None:
            crashpoint("plan.each")
            await self._sieve.each(delivery, lambda raw: self._draft(read(Intake, raw), {}), self._one)
        else:
            crashpoint("plan.taken")
            lanes = await self._planned(drafts)
            crashpoint("plan.parting")
            if await self._went_short(lanes, delivery, shortcut):
                return
        crashpoint("plan.published")
        await persist(lambda: self._bus.done(delivery), self._clock, self._tell, "plan")
        crashpoint("plan.done")

    async def _went_short(self, lanes: Lanes, delivery: Delivery, shortcut: Shortcut | None) -> bool:
        """Publishes what doesn't go past its lane. Where something does, the bundle goes with it."""
        short = {} if shortcut is None else {name: lanes[name] for name in lanes if shortcut.fits(name, len(lanes[name]))}
        crashpoint("plan.long_way")
        await self._publish({name: lanes[name] for name in lanes if name not in short})
        if shortcut is not None and shortcut.take(short, delivery):
            return True
        crashpoint("plan.lost_way")
        await self._publish(short)
        return False

    async def _one(self, draft: Draft) -> None:
        crashpoint("plan.one")
        await self._publish(await self._planned([draft]))

    async def _planned(self, drafts: Sequence[Draft]) -> Lanes:
        """Writes the plans. Returns what may go at once."""
        crashpoint("plan.meeting")
        plans = await self._met(drafts)
        crashpoint("plan.planning")
        stored = await persist(lambda: self._ledger.plan(plans), self._clock, self._tell, "plan")
        crashpoint("plan.planned")
        self._report(plans)
        lanes: Lanes = defaultdict(list)
        for parcels in stored:
            for parcel in parcels:
                lanes[lane(parcel.channel, parcel.priority)].append(parcel)
        return lanes

    async def _publish(self, lanes: Lanes) -> None:
        for name, parcels in lanes.items():
            packed = [pack(parcel) for parcel in parcels]
            crashpoint("plan.publishing")
            await persist(lambda name=name, packed=packed: self._bus.publish(name, packed), self._clock, self._tell, "plan")  # type: ignore[misc]

    def _read(self, body: bytes) -> list[Draft] | None:
        try:
            crowded: Crowds = {}
            return [self._draft(intake, crowded) for intake in unbundle(Intake, body)]
        except (msgspec.MsgspecError, ValueError):
            return None

    def _draft(self, intake: Intake, crowded: Crowds) -> Draft:
        payload = _PAYLOAD.decode(intake.body)
        plan = plan_of(intake, payload, self._fleet.channels, self._ttl_ms)
        if any(birth.recipient is not None for birth in plan.births):
            return Draft(plan, Naming(intake, payload))
        return Draft(self._parked(plan, crowded))

    async def _met(self, drafts: Sequence[Draft]) -> Sequence[Plan]:
        """The plans, those that name somebody made anew of what the directory knows: one look for all of them."""
        namings = [draft.naming for draft in drafts if draft.naming is not None]
        if not namings:
            return [draft.plan for draft in drafts]
        crashpoint("plan.looking")
        entries = iter(await persist(lambda: self._people.entries(namings), self._clock, self._tell, "plan"))
        crowded: Crowds = {}
        plans = []
        for draft in drafts:
            plan, naming = draft.plan, draft.naming
            if naming is not None:
                plan = plan_of(naming.intake, naming.payload, self._fleet.channels, self._ttl_ms, next(entries))
                plan = self._parked(plan, crowded)
            plans.append(plan)
        return plans

    def _parked(self, plan: Plan, crowded: Crowds) -> Plan:
        if plan.at <= self._fence_at:
            return held(plan, self._clock.now_ms(), self._alone)
        full: dict[str, tuple[str, str | None]] = {}
        for birth in plan.births:
            if birth.steps:
                place = (birth.steps[0].channel, plan.priority)
                if place not in crowded:
                    crowded[place] = self._crowded(*place)
                if crowded[place] and place[0] not in full:
                    full[place[0]] = self._fleet.awaited(place[0], self._clock.monotonic())
        return parked(plan, full) if full else plan

    def _alone(self, channel: str) -> str | None:
        route = self._fleet.route(channel)
        return route[0].name if len(route) == 1 else None

    def _report(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            for birth in plan.births:
                if birth.state.settled:
                    self._tell(Settled(birth.id, birth.state))
