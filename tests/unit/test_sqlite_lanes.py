"""The embedded bus: its rows on disk, and the news of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from sendwright.drivers.embedded import open_sqlite

LANE = "sms.normal"


async def test_a_bundle_that_is_read_before_its_news_has_come_is_handed_out_once(tmp_path: Path) -> None:
    """The reader sees what the writer committed before the loop hears of it."""
    async with open_sqlite(tmp_path / "a.db") as backend:
        await backend.bus.publish(LANE, [b"{}"])
        await backend.bus.publish(LANE, [b"{}"])
    async with open_sqlite(tmp_path / "a.db") as backend:
        lanes: Any = backend.bus._lanes
        lane = lanes[LANE]
        late = lane.tail
        lane.tail, lane.depth = late - 1, 1  # as if the second had been committed a moment ago
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
