"""A bus in memory: what was published and not yet done survives a simulated crash, nothing survives the process.

For tests, the simulator and programs that use the testing kit. `bundles` is what a broker would keep; who has taken
what is known to this object alone, so a new `MemoryBus` over the same bundles hands out again what was not done.

One event loop only. Nothing here suspends between taking a bundle and returning it, so a cancelled `take` loses nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Iterator, Sequence

from sendwright.engine.ports import Clock, Delivery
from sendwright.errors import BusDown
from sendwright.model.parcel import PARCELS_MAX, bundle


class Bundle:
    """One bundle as a broker keeps it. `taken`: somebody had it once."""

    __slots__ = ("at", "lane", "parcels", "tag", "taken")

    def __init__(self, tag: int, lane: str, parcels: tuple[bytes, ...], at: int) -> None:
        self.tag = tag
        self.lane = lane
        self.parcels = parcels
        self.at = at
        self.taken = False


class _Lane:
    """What nobody has taken, oldest first, and who waits for it."""

    __slots__ = ("depth", "ready", "takers")

    def __init__(self) -> None:
        self.ready: list[int] = []
        self.takers: deque[asyncio.Future[None]] = deque()
        self.depth = 0


class MemoryBus:
    """Lanes of bundles in dictionaries; see `ports.Bus`."""

    def __init__(self, clock: Clock, bundles: dict[int, Bundle] | None = None) -> None:
        self._clock = clock
        self._bundles = bundles if bundles is not None else {}
        self._tag = max(self._bundles, default=0)
        self._lanes: dict[str, _Lane] = {}
        self._taken: set[int] = set()
        self._gathered: dict[str, list[tuple[Sequence[bytes], asyncio.Future[None]]]] = {}
        self._killed = False
        self._stopped = False
        for one in self._bundles.values():
            self._ready(one)

    def publish(self, lane: str, parcels: Sequence[bytes]) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._killed:
            future.set_exception(BusDown("the bus is closed"))
        elif not parcels:
            future.set_result(None)
        else:
            if lane not in self._gathered:
                self._gathered[lane] = []
                asyncio.get_running_loop().call_soon(self._flush, lane)
            self._gathered[lane].append((tuple(parcels), future))
        return future

    def put(self, lane: str, parcels: Sequence[bytes]) -> None:
        """Puts parcels on a lane at once, so that a store can do it in one step with its own commit."""
        for start in range(0, len(parcels), PARCELS_MAX):
            self._tag += 1
            one = Bundle(self._tag, lane, tuple(parcels[start : start + PARCELS_MAX]), self._clock.now_ms())
            self._bundles[one.tag] = one
            self._ready(one)

    async def take(self, lane: str) -> Delivery:
        place = self._lane(lane)
        while not place.ready or self._stopped:
            await self._woken(place)
        one = self._bundles[heapq.heappop(place.ready)]
        place.depth -= len(one.parcels)
        self._taken.add(one.tag)
        delivery = Delivery(lane, one.tag, bundle(one.parcels), len(one.parcels), redelivered=one.taken)
        one.taken = True
        return delivery

    async def done(self, delivery: Delivery) -> None:
        self._alive()
        one = self._bundles.pop(delivery.tag, None)
        if one is None:
            return
        if delivery.tag in self._taken:
            self._taken.discard(delivery.tag)
            return
        place = self._lane(one.lane)  # it was given back, and is forgotten all the same
        place.ready.remove(one.tag)
        heapq.heapify(place.ready)
        place.depth -= len(one.parcels)

    async def give_back(self, delivery: Delivery) -> None:
        self._alive()
        if delivery.tag in self._taken:
            self._taken.discard(delivery.tag)
            self._ready(self._bundles[delivery.tag])

    def stop_taking(self) -> None:
        self._stopped = True

    def depth(self, lane: str) -> int:
        return self._lane(lane).depth

    def oldest_s(self, lane: str) -> float:
        ready = self._lane(lane).ready
        if not ready:
            return 0.0
        return max(0, self._clock.now_ms() - self._bundles[ready[0]].at) / 1000

    def undone(self) -> Iterator[tuple[str, bytes]]:
        """(lane, body) of every bundle that is not done, taken or not: what an audit counts as in flight."""
        for one in self._bundles.values():
            yield one.lane, bundle(one.parcels)

    def kill(self) -> dict[int, Bundle]:
        """Simulates kill -9: this object takes nothing any more. Returns what a broker would have kept."""
        self._killed = True
        return dict(self._bundles)

    def _flush(self, lane: str) -> None:
        gathered = self._gathered.pop(lane)
        if not self._killed:
            self.put(lane, [parcel for parcels, _ in gathered for parcel in parcels])
        for _, future in gathered:
            if future.done():
                continue  # its publisher was cancelled
            if self._killed:
                future.set_exception(BusDown("the bus was closed"))
            else:
                future.set_result(None)

    def _ready(self, one: Bundle) -> None:
        place = self._lane(one.lane)
        heapq.heappush(place.ready, one.tag)
        place.depth += len(one.parcels)
        _wake(place)

    async def _woken(self, place: _Lane) -> None:
        self._alive()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place.takers.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and place.ready:
                _wake(place)  # woken and cancelled at once: the bundle is the next one's
            raise
        finally:
            if future in place.takers:
                place.takers.remove(future)

    def _lane(self, lane: str) -> _Lane:
        return self._lanes.setdefault(lane, _Lane())

    def _alive(self) -> None:
        if self._killed:
            raise BusDown("the bus is closed")


def _wake(place: _Lane) -> None:
    while place.takers:
        future = place.takers.popleft()
        if not future.done():
            future.set_result(None)
            return
