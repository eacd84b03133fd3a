"""The broker: lanes of bundles, at least once, with everything that this leaves open.

What a session took and did not finish comes again when the session is over, to anybody: at a death some seconds later, and
at a pause while the paused one still holds it. Bundles may come twice, and not in order. Publishes may be confirmed to
nobody; acknowledgements may get lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sendwright.engine.ports import Delivery
from sendwright.errors import BusDown
from sendwright.model.parcel import PARCELS_MAX, bundle
from simulation.draw import chance, pick

if TYPE_CHECKING:
    from simulation.process import Life
    from simulation.world import World

MERGED = 0.3
"""How often parcels join the last bundle of their lane, where it is still there."""

OVERTAKEN_S = (0.02, 0.5, 3.0, 20.0)


class _Bundle:
    __slots__ = ("at_s", "lane", "parcels", "redelivered")

    def __init__(self, lane: str, parcels: tuple[bytes, ...], at_s: float) -> None:
        self.lane = lane
        self.parcels = parcels
        self.at_s = at_s
        self.redelivered = False


class _Lane:
    __slots__ = ("ready", "takers")

    def __init__(self) -> None:
        self.ready: list[_Bundle] = []
        self.takers: list[tuple[Life, asyncio.Future[Delivery]]] = []


class Broker:
    """What all processes share."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.draw.stream("bus")
        self._lanes: dict[str, _Lane] = {}
        self._taken: dict[int, tuple[Life, _Bundle]] = {}
        self._overtaken: list[_Bundle] = []
        self._tag = 0
        self.down = False

    def put(self, name: str, parcels: Sequence[bytes]) -> None:
        """Also for the desk, whose commit and publish are one step here."""
        for start in range(0, len(parcels), PARCELS_MAX):
            self._put(name, tuple(parcels[start : start + PARCELS_MAX]))
            if self._world.weather.bus("delivered_twice"):
                self._world.note("bus", "delivered_twice", name)
                self._put(name, tuple(parcels[start : start + PARCELS_MAX]))

    def _put(self, name: str, parcels: tuple[bytes, ...]) -> None:
        place = self.lane(name)
        last = place.ready[-1] if place.ready else None
        if (
            last is not None
            and not last.redelivered
            and len(last.parcels) + len(parcels) <= PARCELS_MAX
            and chance(self._rng, MERGED)
        ):
            last.parcels += parcels
            return
        self._offer(_Bundle(name, parcels, self._world.loop.time()))

    def _offer(self, one: _Bundle) -> None:
        if self._world.weather.bus("reordered"):
            self._world.note("bus", "reordered", one.lane)
            self._overtaken.append(one)
            self._world.later(pick(self._rng, OVERTAKEN_S), self._late, one)
            return
        place = self.lane(one.lane)
        place.ready.append(one)
        self._serve(place)

    def _late(self, one: _Bundle) -> None:
        """What came after it has been taken meanwhile."""
        self._overtaken.remove(one)
        place = self.lane(one.lane)
        place.ready.append(one)
        self._serve(place)

    def _serve(self, place: _Lane) -> None:
        while place.ready and not self.down:
            taker = self._next_taker(place)
            if taker is None:
                return
            life, future = taker
            future.set_result(self.given(life, place))

    def _next_taker(self, place: _Lane) -> tuple[Life, asyncio.Future[Delivery]] | None:
        place.takers = [(life, future) for life, future in place.takers if not future.done() and not life.dead]
        waiting = [taker for taker in place.takers if not taker[0].session_over and not taker[0].leaving]
        if not waiting:
            return None
        chosen = pick(self._rng, waiting)
        place.takers.remove(chosen)
        return chosen

    def given(self, life: Life, place: _Lane) -> Delivery:
        one = place.ready.pop(0)
        self._tag += 1
        self._taken[self._tag] = (life, one)
        delivery = Delivery(one.lane, self._tag, bundle(one.parcels), len(one.parcels), redelivered=one.redelivered)
        one.redelivered = True
        return delivery

    def done(self, life: Life, tag: int) -> None:
        """Only a session that lives can acknowledge what it took."""
        holder = self._taken.get(tag)
        if holder is not None and holder[0] is life:
            del self._taken[tag]

    def back(self, life: Life, tag: int) -> None:
        holder = self._taken.get(tag)
        if holder is not None and holder[0] is life:
            del self._taken[tag]
            self._offer(holder[1])

    def session_lost(self, life: Life) -> None:
        """What it had taken is anybody's again. A tag is of one delivery: the old ones acknowledge nothing any more."""
        life.session_over = True
        lost = {tag: one for tag, (holder, one) in self._taken.items() if holder is life}
        for tag, one in lost.items():
            del self._taken[tag]
            self._world.note("bus", "redelivered", one.lane)
            self._offer(one)

    def session_back(self, life: Life) -> None:
        """A paused one goes on, and connects anew."""
        life.session_over = False
        for place in self._lanes.values():
            self._serve(place)

    def set_down(self, *, down: bool) -> None:
        self.down = down
        if not down:
            for place in self._lanes.values():
                self._serve(place)

    def lane(self, name: str) -> _Lane:
        place = self._lanes.get(name)
        if place is None:
            place = self._lanes[name] = _Lane()
        return place

    def undone(self) -> Iterator[tuple[str, bytes]]:
        """(lane, body) of every bundle that is not done, taken or not: for the recount."""
        ready = (one for place in self._lanes.values() for one in place.ready)
        for one in (*ready, *self._overtaken, *(one for _, one in self._taken.values())):
            yield one.lane, bundle(one.parcels)


class BusLink:
    """ports.Bus as one life sees it."""

    def __init__(self, life: Life, broker: Broker) -> None:
        self._life = life
        self._world = life.world
        self._broker = broker

    async def publish(self, lane: str, parcels: Sequence[bytes]) -> None:
        if not parcels:
            return
        if self._broker.down:
            raise BusDown("the broker can't be reached")
        fault = self._world.weather.bus("confirm_lost", "confirm_refused")
        if fault != "confirm_refused":
            self._broker.put(lane, parcels)
        if fault is not None:
            self._world.note(self._life.label, fault, lane)
            raise BusDown("no confirm", maybe=True)

    async def take(self, lane: str) -> Delivery:
        place = self._broker.lane(lane)
        if place.ready and not self._broker.down and not self._life.session_over and not self._life.leaving:
            return self._broker.given(self._life, place)
        future: asyncio.Future[Delivery] = self._world.loop.create_future()
        place.takers.append((self._life, future))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._broker.back(self._life, future.result().tag)
            raise

    async def done(self, delivery: Delivery) -> None:
        if self._broker.down:
            raise BusDown("the broker can't be reached")
        if self._world.weather.bus("ack_lost"):
            self._world.note(self._life.label, "ack_lost", delivery.lane)
            self._broker.back(self._life, delivery.tag)
            return
        self._broker.done(self._life, delivery.tag)

    async def give_back(self, delivery: Delivery) -> None:
        if self._broker.down:
            raise BusDown("the broker can't be reached")
        self._broker.back(self._life, delivery.tag)

    def stop_taking(self) -> None:
        self._life.leaving = True

    def depth(self, lane: str) -> int:
        return sum(len(one.parcels) for one in self._broker.lane(lane).ready)

    def oldest_s(self, lane: str) -> float:
        ready = self._broker.lane(lane).ready
        return self._world.loop.time() - ready[0].at_s if ready else 0.0
