"""The embedded bus: lanes of bundles in the one SQLite file, group-committed with everything else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import apsw
from msgspec.structs import replace

from sendwright.drivers.bus.sqlite_lanes import PAGE, Bundle, Lane, Lanes, put_bundles
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, rows_of
from sendwright.engine.ports import Delivery


class SqliteBus:
    """ports.Bus."""

    def __init__(self, writer: Writer, reader: Reader, lanes: Lanes) -> None:
        self._writer = writer
        self._reader = reader
        self._lanes = lanes
        self._publish = _PublishAll(lanes)
        self._done = _DoneAll()
        self._taken: dict[int, Bundle] = {}

    def publish(self, lane: str, parcels: Sequence[bytes]) -> Awaitable[None]:
        return self._writer.submit(self._publish, (lane, parcels), urgent=lane.endswith(_URGENT))

    async def take(self, lane: str) -> Delivery:
        heads = self._lanes[lane]
        while True:
            first = heads.pop()
            if first is not None:
                return self._deliver(first)
            if heads.spilled and not heads.reading and not heads.stopped:
                await self._read_page(heads)
                continue
            taker: asyncio.Future[Bundle] = asyncio.get_running_loop().create_future()
            heads.takers.append(taker)
            try:
                return self._deliver(await taker)
            except asyncio.CancelledError:
                if taker.done() and not taker.cancelled():
                    heads.put_back(taker.result())
                raise

    def done(self, delivery: Delivery) -> Awaitable[None]:
        self._taken.pop(delivery.tag, None)
        return self._writer.submit(self._done, delivery.tag)

    async def give_back(self, delivery: Delivery) -> None:
        taken = self._taken.pop(delivery.tag, None)
        if taken is not None:
            self._lanes[delivery.lane].put_back(replace(taken, redelivered=True))

    def stop_taking(self) -> None:
        self._lanes.stop()

    def depth(self, lane: str) -> int:
        return self._lanes[lane].depth

    def oldest_s(self, lane: str) -> float:
        head = self._lanes[lane].head
        return max(0.0, time.time() - head[0].at / 1000) if head else 0.0

    def _deliver(self, first: Bundle) -> Delivery:
        self._taken[first.seq] = first
        return Delivery(first.lane, first.seq, first.body, first.count, first.redelivered)

    async def _read_page(self, lane: Lane) -> None:
        lane.reading = True
        try:
            after = lane.cursor
            rows: Any = await self._reader.run(lambda db: db.execute(SQL["bundles_after"], (lane.name, after, PAGE)).fetchall())
        finally:
            lane.reading = False
        for seq, count, at, body in rows:
            if seq > lane.tail:
                break  # committed, and the loop has not heard of it yet: it comes as news
            suspect = lane.suspects > 0 and seq <= lane.restored
            lane.suspects -= suspect
            lane.cursor = seq
            lane.push(Bundle(lane.name, seq, count, at, body, redelivered=suspect))
        if not rows or rows[0][0] > lane.tail:
            lane.cursor = lane.tail  # what was there has been deleted by hand


_URGENT = (".critical", ".high")


class _PublishAll(Operation):
    """Items: (lane, parcels). What was published to one lane within a flush shares bundles."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._bundles: list[Bundle] = []

    def apply(self, db: apsw.Connection, items: list[tuple[str, Sequence[bytes]]]) -> list[None]:
        by_lane: dict[str, list[bytes]] = {}
        for lane, parcels in items:
            by_lane.setdefault(lane, []).extend(parcels)
        self._bundles = put_bundles(db, self._lanes, by_lane, int(time.time() * 1000))
        return [None] * len(items)

    def after_commit(self) -> Any:
        return self._bundles

    def committed(self, news: list[Bundle]) -> None:
        self._lanes.add(news)


class _DoneAll(Operation):
    """Items: seqs."""

    def apply(self, db: apsw.Connection, items: list[int]) -> list[None]:
        db.execute(SQL["bundles_done"], (rows_of(items),))
        return [None] * len(items)
