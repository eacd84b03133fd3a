"""schedule: what waits is pulled back into the lanes, when its time has come or its key is open.

Rows are read, published, and only then deleted: a crash in between publishes twice, and the second parcel is refused by
its message's row. Parked work is pulled at the pace at which its route can take it, from the tenants in turn; while a
route is shut nothing is read for it at all. After a step of the wall clock nothing is promoted by its time for a while
(drift.py).
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sendwright.engine.crash import crashpoint
from sendwright.engine.drift import Held, never
from sendwright.engine.fleet import Fleet
from sendwright.engine.persist import persist
from sendwright.engine.ports import Bus, Clock, Ledger, Waiting
from sendwright.engine.telling import Settled, Tell
from sendwright.model.notification import Priority
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Parcel, lane, pack
from sendwright.model.states import MessageState
from sendwright.policy.pacing import DeficitRoundRobin, interleaved, lane_room, share_out
from sendwright.policy.planning import behind_route

SLICE = 200
"""Most rows moved at once; of what is due, so many of each priority."""
IDLE_S = 1.0
"""Longest pause between two looks."""
PULL_S = 0.05
"""Pause between two pulls while something is parked under an open key."""
LINE = 2
"""While a route is full, so many of the highest priority that is parked stand in line for its next place."""
LINE_S = 0.25
"""But only where there may be one before they are parked again: a rate that lets nobody through for minutes has no line."""
LANE_S = 1.0
LANE_MIN = 500
"""A lane is short: it holds a second of work, and this many parcels at the least. No tenant gets past what is in it."""
AHEAD_S = 60.0
"""A retry was timed by a clock ahead of this one where it was written so long after now, or more. Less may have been written while
the store took its time to look."""
HORIZON_S = 0.25
"""How much of a route's pace is pulled ahead."""


class _End(NamedTuple):
    """Why something that is due goes nowhere."""

    state: MessageState
    reason: str
    detail: str = ""


class Promoter:
    """Run one per fleet, or many: a row is published by whoever reads it, and sent once all the same."""

    def __init__(
        self, waiting: Waiting, ledger: Ledger, bus: Bus, fleet: Fleet, clock: Clock, tell: Tell, held: Held = never
    ) -> None:
        self._waiting = waiting
        self._ledger = ledger
        self._bus = bus
        self._fleet = fleet
        self._clock = clock
        self._tell = tell
        self._held = held
        self._wanted = asyncio.Event()
        self._stopped = False
        self._parked: dict[tuple[str, Priority], int] = {}
        self._rebased = False
        self._stood: dict[tuple[str, Priority], float] = {}
        """When somebody was last sent to stand in line."""
        self._turns: dict[tuple[str, Priority], DeficitRoundRobin] = {}
        """Which tenant's turn it is, of what is parked."""

    def poke(self) -> None:
        """Something may be due."""
        self._wanted.set()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()

    async def run(self) -> None:
        while not self._stopped:
            self._wanted.clear()
            pause_s = await persist(self.turn, self._clock, self._tell, "schedule")
            crashpoint("schedule.turned")
            if pause_s > 0 and not self._stopped:
                await self._rest(pause_s)
                crashpoint("schedule.rested")

    async def turn(self) -> float:
        """Promotes what can be promoted now; returns how many seconds nothing more will be."""
        crashpoint("schedule.turn")
        await self._rebase()
        promoted = await self._due()
        crashpoint("schedule.due")
        promoted += await self._pull()
        crashpoint("schedule.pulled")
        if promoted:
            return 0.0
        next_due = None if self._held() else await self._waiting.next_due()
        crashpoint("schedule.next_due")
        pause_s = IDLE_S if next_due is None else min(IDLE_S, max(0.0, (next_due - self._clock.now_ms()) / 1000))
        return min(pause_s, self._opens_in_s())

    async def _rebase(self) -> None:
        """At the start, and when the clock has come to rest after a step: retries that were timed by a clock ahead of this one."""
        if self._held():
            self._rebased = False
        elif not self._rebased:
            crashpoint("schedule.rebasing")
            await self._waiting.rebase(self._clock.now_ms(), int(AHEAD_S * 1000))
            self._rebased = True

    async def _due(self) -> int:
        now = self._clock.now_ms()
        if self._held():
            return 0
        crashpoint("schedule.reading_due")
        parcels = interleaved(await self._waiting.due(now, SLICE), lambda parcel: (parcel.priority, parcel.tenant))
        over = {parcel.id: end for parcel in parcels if (end := _end_of(parcel, now)) is not None}
        going, staying = self._by_room([parcel for parcel in parcels if parcel.id not in over])
        crashpoint("schedule.promoting_due")
        await self._promote(going)
        ends = [self._end(parcel, over[parcel.id], now) for parcel in parcels if parcel.id in over]
        crashpoint("schedule.putting_aside")
        await asyncio.gather(*ends, *(self._put_aside(parcel, now) for parcel in staying))
        return len(parcels)

    def _by_room(self, parcels: Sequence[Parcel]) -> tuple[list[Parcel], list[Parcel]]:
        """Those that their lanes have room for, and the others: a blast that comes due at once is not piled into a lane.
        Who is in the middle of a round, from one provider to the next, goes on in any case: they are no more than were called."""
        rooms: dict[tuple[str, Priority], int] = {}
        going: list[Parcel] = []
        staying: list[Parcel] = []
        for parcel in parcels:
            place = (parcel.channel, parcel.priority)
            room = rooms[place] if place in rooms else self._lane_room(*place)
            (going if room > 0 or parcel.round.later else staying).append(parcel)
            rooms[place] = room - 1
        return going, staying

    async def _put_aside(self, parcel: Parcel, now: int) -> None:
        """It has had its time, and waits for its route from here on, behind those that do already."""
        awaited = self._fleet.awaited(parcel.channel, self._clock.monotonic())
        crashpoint("schedule.putting_one_aside")
        await self._ledger.park(parcel, behind_route(parcel.channel, parcel.expires_at, *awaited), now)

    async def _end(self, parcel: Parcel, end: _End, now: int) -> None:
        crashpoint("schedule.ending_one")
        if await self._ledger.end(parcel, end.state, end.reason, end.detail, now):
            self._tell(Settled(parcel.id, end.state))

    async def _pull(self) -> int:
        """What is parked under open keys, the highest priority first."""
        await self.look()
        crashpoint("schedule.looked")
        self._turns = {place: turn for place, turn in self._turns.items() if place in self._parked}
        pulled: Counter[str] = Counter()
        highest: set[str] = set()
        for (key, priority), count in sorted(self._parked.items(), key=lambda item: item[0][1]):
            room = min(self._room(key, priority) - pulled[key], count, SLICE)
            if room <= 0 and key not in highest:
                room = min(self._to_stand(key, priority), count)
            highest.add(key)
            if room <= 0:
                continue
            crashpoint("schedule.pulling")
            parcels = await self._of_tenants(key, priority, room)
            crashpoint("schedule.promoting_pulled")
            await self._promote(parcels)
            pulled[key] += len(parcels)
            self._fleet.brought(key.partition(":")[2], priority, len(parcels), self._clock.monotonic(), HORIZON_S)
        return pulled.total()

    async def _of_tenants(self, key: str, priority: Priority, room: int) -> list[Parcel]:
        """As many as there is room for, one of each tenant in turn. One tenant more is looked at: whose turn it is afterwards."""
        turn = self._turns.get((key, priority), DeficitRoundRobin())
        crashpoint("schedule.reading_tenants")
        waiting = await self._waiting.tenants(key, priority, turn.turn, room + 1)
        shares = share_out(turn, waiting, {}, 1, room)
        self._turns[key, priority] = shares.state
        if not shares.pulls:
            return []
        crashpoint("schedule.pulling_shares")
        parcels = await self._waiting.pull(key, priority, shares.pulls)
        return interleaved(parcels, lambda parcel: parcel.tenant)

    async def look(self) -> None:
        """Reads what is parked. A process that plans and does not promote does so now and then."""
        crashpoint("schedule.looking")
        self._parked = dict(await self._waiting.parked())

    def crowded(self, channel: str, priority: Priority) -> bool:
        """Whether a lane has enough to do, so that what is planned or comes due now waits its turn in the table instead: the
        lane holds more than `LANE_S` of work, or older work of the same route waits there already."""
        return self._lane_room(channel, priority) == 0

    def _lane_room(self, channel: str, priority: Priority) -> int:
        if self._parked.get((f"route:{channel}", priority)):
            return 0
        pace = self._fleet.pace(channel, priority, self._clock.monotonic())
        return lane_room(pace, self._bus.depth(lane(channel, priority)), LANE_S, LANE_MIN)

    def _room(self, key: str, priority: Priority) -> int:
        channel = key.partition(":")[2]
        if not self._fleet.route(channel):
            return SLICE  # its last provider is gone from the settings: deliver moves it on
        now = self._clock.monotonic()
        lies = self._bus.depth(lane(channel, priority)) - self._fleet.lately_brought(channel, priority, now)
        return self._fleet.room(channel, priority, now, HORIZON_S) - max(0, lies) - self._fleet.in_line(channel, priority)

    def _to_stand(self, key: str, priority: Priority) -> int:
        """How many to pull though there is no room. Who is parked does not stand in the line for the next place, and would
        find each one taken by lower priorities that do: so of the highest that is parked, somebody always stands there."""
        now, channel = self._clock.monotonic(), key.partition(":")[2]
        opens_in_s = self._fleet.opens_in_s(channel, priority, now)
        vain = opens_in_s is None or opens_in_s > LINE_S
        if priority == Priority.BULK or vain or now - self._stood.get((key, priority), -math.inf) < PULL_S:
            return 0
        self._stood[key, priority] = now
        return max(0, LINE - self._fleet.in_line(channel, priority) - self._bus.depth(lane(channel, priority)))

    def _opens_in_s(self) -> float:
        """Until the next look at what is parked: soon where it hangs on calls in flight, later for a rate or a shut route."""
        now = self._clock.monotonic()
        opening = [self._fleet.opens_in_s(key.partition(":")[2], priority, now) for key, priority in self._parked]
        return max(PULL_S, min((seconds for seconds in opening if seconds is not None), default=IDLE_S))

    async def _promote(self, parcels: Sequence[Parcel]) -> None:
        """Published, then deleted: never the other way round."""
        lanes: dict[str, list[bytes]] = defaultdict(list)
        for parcel in parcels:
            lanes[lane(parcel.channel, parcel.priority)].append(pack(parcel))
        for name, packed in lanes.items():
            crashpoint("schedule.publishing")
            await self._bus.publish(name, packed)
        if parcels:
            crashpoint("schedule.published")
            await self._waiting.promoted(parcels, self._clock.now_ms())
            crashpoint("schedule.promoted")

    async def _rest(self, pause_s: float) -> None:
        sleeper = asyncio.ensure_future(self._clock.sleep(pause_s))
        poked = asyncio.ensure_future(self._wanted.wait())
        try:
            crashpoint("schedule.resting")
            await asyncio.wait({sleeper, poked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            poked.cancel()


def _end_of(parcel: Parcel, now: int) -> _End | None:
    """None: it goes. A next step or a replay may come when retention has forgotten what was said: nobody is sent nothing."""
    if parcel.expires_at is not None and parcel.expires_at <= now:
        return _End(MessageState.EXPIRED, Reason.EXPIRED.value)
    if parcel.content.empty:
        return _End(MessageState.FAILED, Reason.CONTENT.value, "what it said is forgotten: [retention] content")
    return None
