"""What the broker gave up on: of a bundle each parcel is tried alone, what died alone is kept, and twice at once is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sendwright.engine.exhume import exhume
from sendwright.engine.ports import Delivery
from sendwright.engine.telling import Telling
from sendwright.errors import BusDown
from sendwright.model.parcel import bundle

from .engine_world import Quarantine, in_virtual_time
from .virtual_time import VirtualClock

LANE = "sms.normal"


class _Bus:
    def __init__(self) -> None:
        self.published: list[tuple[str, list[bytes]]] = []
        self.done_of: list[int] = []
        self.down = 0

    async def publish(self, lane: str, parcels: Sequence[bytes]) -> None:
        if self.down:
            self.down -= 1
            raise BusDown("the bus is down")
        self.published.append((lane, list(parcels)))

    async def done(self, delivery: Delivery) -> None:
        self.done_of.append(delivery.tag)


def died(*parcels: bytes, lane: str = LANE) -> Delivery:
    return Delivery(lane, 7, bundle(parcels), len(parcels), redelivered=True)


async def deal(bus: _Bus, dead: Quarantine, parcels: list[bytes], lane: str = LANE) -> list[Telling]:
    told: list[Telling] = []
    await exhume(bus, dead, VirtualClock(), told.append, died(*parcels, lane=lane), parcels, "too often")
    return told


@in_virtual_time
async def test_of_a_bundle_each_parcel_is_put_back_alone_and_nothing_is_dead_yet() -> None:
    bus, dead = _Bus(), Quarantine()
    bus.down = 3  # it takes its time
    await deal(bus, dead, [b"1", b"2", b"3"])
    assert bus.published == [(LANE, [raw]) for raw in (b"1", b"2", b"3")]
    assert (dead.kept, bus.done_of) == ({}, [7])


@in_virtual_time
async def test_what_died_alone_is_kept_and_not_put_back() -> None:
    bus, dead = _Bus(), Quarantine()
    await deal(bus, dead, [b"1"])
    assert [(row.lane, row.problem, body) for row, body in dead.kept.values()] == [(LANE, "too often", b"1")]
    assert (bus.published, bus.done_of) == ([], [7])


@in_virtual_time
async def test_what_is_nobodys_is_kept_whole() -> None:
    bus, dead = _Bus(), Quarantine()
    await deal(bus, dead, [b"1", b"2"], lane="")
    assert [body for _, body in dead.kept.values()] == [b"1", b"2"]
    assert bus.published == []


@in_virtual_time
async def test_two_who_deal_with_the_same_at_once_keep_it_once() -> None:
    bus, dead = _Bus(), Quarantine()
    await asyncio.gather(deal(bus, dead, [b"1"]), deal(bus, dead, [b"1"]))
    assert len(dead.kept) == 1
