"""report: what a person has read is reported, whoever dies on the way, and whatever is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from sendwright.drivers.store.memory_inbox import MemoryInbox
from sendwright.drivers.store.memory_tables import MemoryStore
from sendwright.engine.report import EVERY_S, SLICE, Reporter
from sendwright.engine.telling import Trouble
from sendwright.errors import BusDown, StoreDown
from sendwright.model.inbox import Item, ItemContent, Mark
from sendwright.model.parcel import INBOUND, Sighting
from sendwright.model.states import AttemptState

from .virtual_time import NOW, VirtualClock, in_virtual_time

ADA = ("acme", "ada")


class Died(BaseException):
    """The process was killed there."""


class Lanes:
    """What was published. `dies`: before or after that is durable."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, int, int]] = []
        self.dies: str | None = None
        self.down = 0

    async def publish(self, lane: str, parcels: Sequence[bytes]) -> None:
        assert lane == INBOUND
        if self.dies == "before":
            raise Died
        if self.down:
            self.down -= 1
            raise BusDown("down")
        for parcel in parcels:
            sighting = msgspec.json.decode(parcel, type=Sighting)
            self.seen.append((sighting.attempt, sighting.state, sighting.at))
        if self.dies == "after":
            raise Died


class Box(MemoryInbox):
    down = 0

    async def owed(self, limit: int) -> Sequence[Item]:
        if self.down:
            self.down -= 1
            raise StoreDown("down")
        return await super().owed(limit)


class World:
    def __init__(self) -> None:
        self.box = Box(MemoryStore())
        self.lanes = Lanes()
        self.told: list[object] = []
        self.reporter = Reporter(self.box, self.lanes, VirtualClock(), self.told.append)  # type: ignore[arg-type]

    async def read(self, number: int = 1) -> Sequence[Item]:
        await self.box.add(Item(f"msg_{number}", *ADA, NOW, "inbox-main", f"att_{number}", ItemContent(body="Hello")))
        return await self.box.mark(*ADA, [f"msg_{number}"], Mark.READ, NOW + number)


@pytest.mark.parametrize("dies", ["before", "after"])
@in_virtual_time
async def test_who_dies_over_it_has_it_reported_by_another(dies: str) -> None:
    world = World()
    items = await world.read()
    world.lanes.dies = dies
    with pytest.raises(Died):
        await world.reporter.report(items)
    world.lanes.dies = None
    await world.reporter.turn()
    await world.reporter.turn()
    once = ("att_1", AttemptState.READ, NOW + 1)
    assert world.lanes.seen == ([once] if dies == "before" else [once, once]), "twice is harmless, never is not"


@in_virtual_time
async def test_nothing_is_lost_while_the_bus_or_the_store_is_away() -> None:
    world = World()
    world.lanes.down, world.box.down = 3, 2
    await world.reporter.report(await world.read())
    running = asyncio.create_task(world.reporter.run())
    await asyncio.sleep(6 * EVERY_S)
    running.cancel()
    assert world.lanes.seen == [("att_1", AttemptState.READ, NOW + 1)]
    assert [type(told) for told in world.told] == [Trouble] * 5


@in_virtual_time
async def test_more_than_a_slice_goes_without_a_pause_and_what_owes_nothing_is_not_told() -> None:
    world = World()
    for number in range(SLICE + 1):
        await world.read(number)
    await world.box.mark(*ADA, ["msg_0"], Mark.ARCHIVED, NOW + 999)
    assert await world.reporter.turn()
    assert not await world.reporter.turn()
    assert not await world.reporter.turn()
    assert len(world.lanes.seen) == SLICE + 1
