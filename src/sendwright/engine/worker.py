"""The worker loop: takers on every lane, each with a bounded hand, none of which can starve another.

A few takers per intake lane, one for receipts, one per channel and priority. A taker takes a bundle only while its hand has
room, so what it holds is bounded; a bundle is done when each of its parcels is claimed, parked or dropped. Takers of the
lower priorities step aside while something critical is on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from sendwright.engine.crash import crashpoint
from sendwright.engine.deliver import Deliverer
from sendwright.engine.hands import Flight, Hand, Handful
from sendwright.engine.observe import Observer
from sendwright.engine.persist import persist
from sendwright.engine.plan import Planner
from sendwright.engine.ports import Bus, Clock, Delivery
from sendwright.engine.precedence import GROUP, RightOfWay
from sendwright.engine.shortcut import Shortcut
from sendwright.engine.sieve import Sieve
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unavailable, where
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, Parcel, intake_lane, lane, read, unbundle

PLANS_AT_ONCE = 4
"""Bundles of one intake lane in the works at the same time."""
BROKEN_S = 1.0
"""How long what broke rests before it is tried again."""


class Worker:
    """Runs the stories over the lanes of these channels until it is drained."""

    def __init__(
        self,
        bus: Bus,
        planner: Planner,
        deliverer: Deliverer,
        observer: Observer,
        sieve: Sieve,
        clock: Clock,
        tell: Tell,
        channels: Sequence[str],
        flight: Flight,
    ) -> None:
        self._bus = bus
        self._planner = planner
        self._deliverer = deliverer
        self._observer = observer
        self._sieve = sieve
        self._clock = clock
        self._tell = tell
        self._channels = channels
        self._flight = flight
        self._way = RightOfWay()
        self._hands: dict[str, Hand] = {}
        self._takers: set[asyncio.Task[None]] = set()
        self._works: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()  # asked once: each time costs a system call
        for priority in Priority:
            for name in (intake_lane(priority), intake_lane(priority, aside=True)):
                plan = partial(self._planner.plan, shortcut=self._shortcut(priority))
                for _ in range(PLANS_AT_ONCE):
                    self._spawn_taker(partial(self._each_bundle, name, priority, plan))
            for channel in self._channels:
                self.take_also(lane(channel, priority), priority)
        self._spawn_taker(partial(self._each_bundle, INBOUND, Priority.HIGH, self._observer.observe))

    def take_also(self, name: str, priority: Priority) -> None:
        """Begins to take one more lane of parcels."""
        self._spawn_taker(partial(self._each_parcel, name, priority))

    def _shortcut(self, priority: Priority) -> Shortcut:
        def begin(parcels: Sequence[Parcel], held: Handful) -> None:
            self._work(self._begin(parcels, priority, held))

        return Shortcut(self._hands, begin, partial(self._afterwards, self._done), partial(self._afterwards, self._give_back))

    async def drain(self, within_s: float) -> bool:
        """Takes nothing more and lets what is in flight finish; True when all of it did in time."""
        self._stopped = True
        self._bus.stop_taking()  # what else a broker sends us would lie here until we are gone
        for taker in self._takers:
            taker.cancel()
        crashpoint("worker.stopping")
        await asyncio.gather(*self._takers, return_exceptions=True)
        deadline = self._clock.monotonic() + within_s
        while self._works and (left_s := deadline - self._clock.monotonic()) > 0:
            crashpoint("worker.draining")  # again and again: what finishes may leave its bundle to be done
            await asyncio.wait(self._works, timeout=left_s)
        left = [work for work in self._works if not work.done()]
        for work in left:
            work.cancel()
        crashpoint("worker.drained")
        await asyncio.gather(*left, return_exceptions=True)
        return not left

    def _spawn_taker(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self._stopped:
            taker = asyncio.create_task(make())
            self._takers.add(taker)
            taker.add_done_callback(partial(self._taker_ended, make))

    def _taker_ended(self, make: Callable[[], Coroutine[Any, Any, None]], taker: asyncio.Task[None]) -> None:
        """A lane without its taker would stand still for ever: whatever broke this one, another takes its place."""
        self._takers.discard(taker)
        if not taker.cancelled():
            error = taker.exception()
            self._tell(Trouble("worker", f"a taker ended: {'without an error' if error is None else where(error)}"))
            asyncio.get_running_loop().call_later(BROKEN_S, self._spawn_taker, make)

    async def _take(self, name: str) -> Delivery:
        """A bus that is down for a while costs no lane its taker."""
        crashpoint("worker.asking")
        return await persist(lambda: self._bus.take(name), self._clock, self._tell, "take")

    async def _each_bundle(self, name: str, priority: Priority, story: Callable[[Delivery], Awaitable[None]]) -> None:
        while True:
            crashpoint("worker.yielding")
            await self._give_way(priority)
            crashpoint("worker.taking_bundle")
            delivery = await self._take(name)
            crashpoint("worker.took_bundle")
            work = self._work(self._guarded(delivery, priority, story))
            if not delivery.redelivered:  # what broke before may take its time, and holds up nobody
                crashpoint("worker.waiting_story")
                await asyncio.shield(work)

    async def _guarded(self, delivery: Delivery, priority: Priority, story: Callable[[Delivery], Awaitable[None]]) -> None:
        way = Priority.BULK if delivery.redelivered else priority  # nobody steps aside for what broke before
        self._way.enter(way)
        try:
            crashpoint("worker.story")
            await story(delivery)
        except Exception as error:  # noqa: BLE001 — the bundle must go back, whatever broke
            self._tell(Trouble(delivery.lane, where(error)))
            self._work(self._give_back(delivery))
        finally:
            self._way.leave(way)

    async def _give_back(self, delivery: Delivery) -> None:
        """After a rest: what broke it may pass."""
        crashpoint("worker.broken")
        await self._clock.sleep(BROKEN_S)
        crashpoint("worker.giving_back")
        await persist(lambda: self._bus.give_back(delivery), self._clock, self._tell, "give back")

    async def _each_parcel(self, name: str, priority: Priority) -> None:
        hand = self._hands[name] = Hand(partial(self._deliverer.hand, name.rpartition(".")[0], priority))
        while True:
            crashpoint("worker.waiting_hand")
            await hand.room()
            crashpoint("worker.taking_parcels")
            delivery = await self._take_for(hand, name)
            crashpoint("worker.took_parcels")
            crashpoint("worker.suspecting")
            if delivery.redelivered and await self._sieve.suspected(delivery):
                hand.take(delivery.count)
                self._work(self._apart(delivery, hand))
                continue
            try:
                crashpoint("worker.reading")
                parcels = await self._parcels(delivery)
            except Exception as error:  # noqa: BLE001 — the bundle must go back, whatever broke
                self._tell(Trouble(delivery.lane, where(error)))
                self._work(self._give_back(delivery))
                continue
            hand.take(len(parcels))
            if not parcels:
                crashpoint("worker.nothing")
                await self._done(delivery)
            done, back = partial(self._afterwards, self._done, delivery), partial(self._afterwards, self._give_back, delivery)
            crashpoint("worker.beginning")
            await self._begin(parcels, priority, Handful(len(parcels), hand.drop, done, back))

    async def _take_for(self, hand: Hand, name: str) -> Delivery:
        hand.idle = True
        try:
            crashpoint("worker.asking_lane")
            return await self._take(name)
        finally:
            hand.idle = False

    async def _begin(self, parcels: Sequence[Parcel], priority: Priority, held: Handful) -> None:
        for start in range(0, len(parcels), GROUP):
            crashpoint("worker.giving_way")
            await self._give_way(priority)
            for parcel in parcels[start : start + GROUP]:
                self._work(self._deliver(parcel, held))

    async def _apart(self, delivery: Delivery, hand: Hand) -> None:
        """A bundle that has come again more than once: what of it ends whoever takes it must not take the others with it."""
        try:
            crashpoint("worker.apart")
            await self._sieve.apart(delivery, partial(read, Parcel), self._until_handled)
        except Exception as error:  # noqa: BLE001 — the bundle must go back, whatever broke
            self._tell(Trouble(delivery.lane, where(error)))
            self._work(self._give_back(delivery))
        else:
            crashpoint("worker.handled_apart")
            await self._done(delivery)
        finally:
            for _ in range(delivery.count):
                hand.drop()

    async def _until_handled(self, parcel: Parcel) -> None:
        """Claimed, parked or dropped; what comes after that is no suspect's any more. A suspect shares no call: it waits for
        nobody, and takes nobody with it. Raises `RuntimeError` where it breaks."""
        handled: asyncio.Future[str] = self._loop.create_future()
        held = Handful(1, lambda: None, partial(_told, handled, ""), partial(_told, handled, "it could not be put aside"))
        alone = replace(parcel, round=replace(parcel.round, alone=True))
        self._work(self._deliver(alone, held))
        crashpoint("worker.until_handled")
        problem = await handled
        if problem:
            raise RuntimeError(problem)

    async def _give_way(self, priority: Priority) -> None:
        """Between two groups of work, lets what is more urgent go first."""
        if priority <= Priority.HIGH:
            return
        if self._way.taken:
            crashpoint("worker.stepping_aside")
            await self._way.clear()
        crashpoint("worker.next_group")
        await asyncio.sleep(0)

    async def _deliver(self, parcel: Parcel, held: Handful) -> None:
        once = _Once(held.handled)
        crashpoint("worker.entering")
        await self._flight.enter(parcel.priority)
        self._way.enter(parcel.priority)
        way = _Once(lambda: self._way.leave(parcel.priority))

        def claimed() -> None:
            once()
            way()

        try:
            crashpoint("worker.delivering")
            await self._deliverer.deliver(parcel, claimed)
        except Exception as error:  # noqa: BLE001 — whatever broke, the message must be found waiting, not lost
            self._tell(Trouble("deliver", f"{parcel!r}: {where(error)}"))
            if not once.called:
                crashpoint("worker.putting_aside")
                await self._put_aside(parcel, held)
        finally:
            way()
            self._flight.leave()

    async def _put_aside(self, parcel: Parcel, held: Handful) -> None:
        """Onto the shelf; where that breaks as well, its bundle goes back, for nothing else knows of the parcel."""
        try:
            crashpoint("worker.shelving")
            await self._deliverer.shelve(parcel)
        except Exception as error:  # noqa: BLE001 — whatever broke, the bundle must not be done
            self._tell(Trouble("shelve", f"{parcel!r}: {where(error)}"))
            held.broken()
        else:
            held.handled()

    async def _parcels(self, delivery: Delivery) -> list[Parcel]:
        try:
            return unbundle(Parcel, delivery.body)
        except msgspec.MsgspecError:
            crashpoint("worker.unreadable")
            found = await self._sieve.readable(delivery, partial(read, Parcel))
            return [parcel for _, parcel in found]

    async def _done(self, delivery: Delivery) -> None:
        with contextlib.suppress(Unavailable):
            crashpoint("worker.done")
            await persist(lambda: self._bus.done(delivery), self._clock, self._tell, "done")
        if delivery.redelivered:
            crashpoint("worker.clearing")
            await self._sieve.cleared(delivery)

    def _afterwards(self, what: Callable[[Delivery], Coroutine[Any, Any, None]], delivery: Delivery) -> None:
        self._work(what(delivery))

    def _work(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return task


def _told(future: asyncio.Future[str], what: str) -> None:
    if not future.done():
        future.set_result(what)


class _Once:
    """Calls through once, and remembers that it did."""

    __slots__ = ("_function", "called")

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self.called = False

    def __call__(self) -> None:
        if not self.called:
            self.called = True
            self._function()
