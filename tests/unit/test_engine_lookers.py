"""A promoter that only looks on, as a scheduler does, and hears late how deep its lanes are: it still keeps them filled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from sendwright.drivers.bus.memory import MemoryBus
from sendwright.engine.defer import SLOT_WAIT_S
from sendwright.engine.deliver import Deliverer
from sendwright.engine.hands import Hand
from sendwright.engine.schedule import Promoter
from sendwright.engine.telling import Telling
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel, Step, lane, unbundle
from sendwright.model.said import Said
from sendwright.policy.breaker import Health

from .concord_world import House, Process
from .engine_world import in_virtual_time

LANE = lane("sms", Priority.NORMAL)
ROUTE = ("route:sms", Priority.NORMAL)
LOOK_S = 1.0
NOT_ASKED: Any = None
"""Nothing is due, ends or is put aside."""
PLACES = 70
"""Of a hundred, those that are nobody's reserve."""


class Parked:
    """ports.Waiting, with so many of one tenant."""

    def __init__(self, count: int) -> None:
        self.left = count

    async def parked(self) -> dict[tuple[str, Priority], int]:
        return {ROUTE: self.left} if self.left else {}

    async def tenants(self, key: str, priority: Priority, first: str, most: int) -> dict[str, int]:
        return {"default": self.left} if self.left else {}

    async def pull(self, key: str, priority: Priority, shares: Mapping[str, int]) -> Sequence[Parcel]:
        count = min(self.left, shares["default"])
        self.left -= count
        content = Said(body="hello")
        steps = (Step("sms", "+14155550100"),)
        return [Parcel(f"msg_{self.left + number}", "default", steps, content, 1) for number in range(count)]

    async def promoted(self, parcels: Sequence[Parcel], now: int) -> None:
        """They are gone."""

    async def due(self, now: int, limit: int) -> Sequence[Parcel]:
        return []

    async def next_due(self) -> int | None:
        return None

    async def rebase(self, now: int, ahead: int) -> None:
        """Nothing is timed."""


class Broker:
    """A bus of which others take: what they took is seen once a second. What was published here is known at once."""

    def __init__(self, bus: MemoryBus, clock: asyncio.AbstractEventLoop) -> None:
        self._bus = bus
        self._loop = clock
        self._looked_at = -LOOK_S
        self._known = 0
        self.most = 0

    async def publish(self, name: str, parcels: Sequence[bytes]) -> None:
        self._known += len(parcels)
        await self._bus.publish(name, parcels)
        self.most = max(self.most, self._bus.depth(LANE))

    def depth(self, name: str) -> int:
        if name != LANE:
            return 0
        if self._loop.time() >= self._looked_at + LOOK_S:
            self._looked_at, self._known = self._loop.time(), self._bus.depth(LANE)
        return self._known


@dataclass
class Seen:
    """Of the workers: calls made, and parcels that waited for a place in vain."""

    calls: int = 0
    in_vain: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


async def work(process: Process, bus: MemoryBus, seconds: float, seen: Seen) -> None:
    """As a worker does: takes while its hand has room, and parks what has waited too long."""
    deliverer = Deliverer(NOT_ASKED, process.fleet, NOT_ASKED, NOT_ASKED, process.clock, str, "owner", _silent, _nothing)
    hand = Hand(lambda: deliverer.hand("sms", Priority.NORMAL))

    async def one() -> None:
        slot = await process.account.take(Priority.NORMAL, process.clock, SLOT_WAIT_S)
        hand.drop()
        if slot is None:
            seen.in_vain += 1
            return
        slot.used = True
        await asyncio.sleep(seconds)
        seen.calls += 1
        process.fleet.note(process.account, Health.GOOD, process.clock.monotonic(), seconds=seconds)
        slot.release()

    while True:
        await hand.room()
        delivery = await bus.take(LANE)
        parcels = unbundle(Parcel, delivery.body)
        hand.take(len(parcels))
        seen.tasks += [asyncio.create_task(one()) for _ in parcels]
        await bus.done(delivery)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "schedulers", "latency_s"), [(1, 1, 0.3), (3, 1, 0.3), (2, 2, 0.3), (2, 1, 2.0), (1, 1, 0.06)])
@in_virtual_time
async def test_a_backlog_is_drained_as_fast_as_its_workers_can(workers: int, schedulers: int, latency_s: float) -> None:
    # given
    pace = workers * PLACES / latency_s
    waiting, seconds = Parked(10_000_000), 20
    async with House(concurrency=100) as house:
        seen = Seen()
        senders = [house.spawn(f"worker {number}") for number in range(workers)]
        bus = MemoryBus(senders[0].clock)
        house.tasks += [asyncio.create_task(work(process, bus, latency_s, seen)) for process in senders]
        brokers = []
        for number in range(schedulers):
            looks = house.spawn(f"scheduler {number}", sends=False)
            broker = Broker(bus, asyncio.get_running_loop())
            brokers.append(broker)
            promoter = Promoter(
                waiting,
                NOT_ASKED,
                broker,  # type: ignore[arg-type]
                looks.fleet,
                looks.clock,
                _silent,
            )
            house.tasks.append(asyncio.create_task(promoter.run()))
        # when
        await asyncio.sleep(max(5, 15 * latency_s))  # until it is known how quick it is
        before, vain = seen.calls, seen.in_vain
        await asyncio.sleep(seconds)
        # then
        assert seen.calls - before >= 0.9 * pace * seconds
        assert seen.in_vain - vain <= 0.05 * pace * seconds
        assert max(broker.most for broker in brokers) <= 3 * pace + 1000
        house.tasks += seen.tasks


def _silent(_: Telling) -> None:
    """Tells nobody."""


def _nothing() -> None:
    """Pokes nobody."""
