"""The embedded bus: its rows on disk, and the news of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sendwright.drivers.bus.sqlite_lanes import suspects_of
from sendwright.drivers.embedded import open_sqlite
from sendwright.engine.deliver import HAND_MAX
from sendwright.engine.shortcut import BUNDLES_MAX
from sendwright.engine.worker import PLANS_AT_ONCE
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, intake_lane, lane

LANE = "sms.normal"


@pytest.mark.parametrize("priority", Priority, ids=lambda priority: priority.label)
def test_as_many_bundles_are_suspect_as_a_worker_may_have_had_in_hand(priority: Priority) -> None:
    assert suspects_of(lane("sms", priority)) >= HAND_MAX + 1
    assert suspects_of(intake_lane(priority)) >= BUNDLES_MAX + PLANS_AT_ONCE + 1
    assert suspects_of(intake_lane(priority, aside=True)) >= BUNDLES_MAX + PLANS_AT_ONCE + 1
    assert suspects_of(INBOUND) > 1


async def test_what_was_in_hand_at_the_end_comes_again_as_such_though_it_came_one_by_one(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "a.db") as backend:
        for _ in range(HAND_MAX + 1):
            await backend.bus.publish(LANE, [b"{}"])
    async with open_sqlite(tmp_path / "a.db") as backend:
        again = [await backend.bus.take(LANE) for _ in range(HAND_MAX + 1)]
        assert all(delivery.redelivered for delivery in again)
        await backend.bus.publish(LANE, [b"{}"])
        assert not (await backend.bus.take(LANE)).redelivered


async def test_what_comes_after_the_start_was_in_nobodys_hand(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "a.db") as backend:
        await backend.bus.publish(LANE, [b"1"])
    async with open_sqlite(tmp_path / "a.db") as backend:
        await backend.bus.publish(LANE, [b"2"])  # behind what has not been read yet
        taken = [await backend.bus.take(LANE) for _ in range(2)]
        assert [(delivery.body, delivery.redelivered) for delivery in taken] == [(b"[1]", True), (b"[2]", False)]


async def test_a_bundle_that_is_read_before_its_news_has_come_is_handed_out_once(tmp_path: Path) -> None:
    """The reader sees what the writer committed before the loop hears of it."""
    async with open_sqlite(tmp_path / "a.db") as backend:
        await backend.bus.publish(LANE, [b"{}"])
        await backend.bus.publish(LANE, [b"{}"])
    async with open_sqlite(tmp_path / "a.db") as backend:
        lanes: Any = backend.bus._lanes
        place = lanes[LANE]
        late = place.tail
        place.tail, place.depth = late - 1, 1  # as if the second had been committed a moment ago
        first = await backend.bus.take(LANE)
        waiting = asyncio.create_task(backend.bus.take(LANE))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        lanes.add([replace(backend.bus._taken[first.tag], seq=late)])
        second = await waiting
        third = asyncio.create_task(backend.bus.take(LANE))
        await asyncio.sleep(0.05)
        assert (first.tag, second.tag, third.done(), backend.bus.depth(LANE)) == (late - 1, late, False, 0)
        third.cancel()
