"""The partitions of attempts and events: one of each per day, by the time inside the ids.

They are made ahead of need, and at once when a flush finds none: old days come up when work rests for long, or a backup is
restored. Each is made by itself and then attached, which blocks nobody who reads or writes the others; it is taken off in the
same way before it is dropped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import asyncpg

from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.rows import DAY_MS, day_of
from sendwright.model import ids

AHEAD_DAYS = 2
PARTED = ("attempts", "events")
_LOCK = 0x53_57_50_41
"""Of whoever makes or drops partitions."""


class Partitions:
    """Makes and drops them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def make(self, named: Iterable[str]) -> None:
        """Those that these ids need."""
        await self.make_days({day_of(id_) for id_ in named})

    async def make_ahead(self, now: int) -> None:
        """Those of today and the days to come; `now` in ms since 1970."""
        today = now // DAY_MS
        await self.make_days(range(today - 1, today + AHEAD_DAYS + 1))

    async def make_days(self, days: Iterable[int]) -> None:
        wanted = {f"{table}_{_spelled(day)}": (table, day) for day in days for table in PARTED}
        there = {row[0] for row in await self._connections.query(_ATTACHED, list(PARTED))}
        missing = [(name, *wanted[name]) for name in sorted(wanted.keys() - there)]
        if missing:
            await self._connections.transaction("partitions", lambda db: _make(db, missing))

    async def days(self) -> list[int]:
        """The days that have partitions, the oldest first; also those that somebody has begun to drop."""
        rows = await self._connections.query(_INHERITING, ["attempts"])
        return sorted(day_named(row[0]) for row in rows)

    async def drop(self, day: int) -> bool:
        """Drops a day's, with all that is in them. False where somebody else is at it."""

        async def work(db: Db) -> bool:
            if not await db.fetchval("select pg_try_advisory_lock($1)", _LOCK):
                return False
            try:
                for table in PARTED:
                    await _drop(db, table, f"{table}_{_spelled(day)}")
            finally:
                await db.execute("select pg_advisory_unlock($1)", _LOCK)
            return True

        return await self._connections.writing(work)


_INHERITING = """select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
 where p.relname = any($1::text[]) and p.relnamespace = current_schema()::regnamespace"""
_ATTACHED = f"{_INHERITING} and not i.inhdetachpending"


async def _make(db: Db, missing: list[tuple[str, str, int]]) -> None:
    await db.execute("select pg_advisory_xact_lock($1)", _LOCK)
    for name, table, day in missing:
        if await db.fetchval("select exists (select from pg_inherits where inhrelid = to_regclass($1))", name):
            continue  # somebody else was faster
        low, high = _bounds(table, day)
        # It may be there and not attached: whoever was to drop it was killed in between, and it is dropped another time.
        await db.execute(f"create table if not exists {name} (like {table} including all)")
        await db.execute(f"alter table {table} attach partition {name} for values from ({low}) to ({high})")


async def _drop(db: Db, table: str, name: str) -> None:
    pending = await db.fetchval("select inhdetachpending from pg_inherits where inhrelid = to_regclass($1)", name)
    if pending is not None:
        how = "finalize" if pending else "concurrently"
        try:
            await db.execute(f"alter table {table} detach partition {name} {how}")
        except asyncpg.UndefinedTableError:
            return
    await db.execute(f"drop table if exists {name}")


def _bounds(table: str, day: int) -> tuple[str, str]:
    if table == "events":
        return str(day), str(day + 1)
    low, high = (ids.floor(ids.ATTEMPT, each * DAY_MS) for each in (day, day + 1))
    return ("minvalue" if day == 0 else f"'{low}'"), f"'{high}'"


def _spelled(day: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).strftime("%Y%m%d")


def day_named(name: str) -> int:
    spelled = name.rpartition("_")[2]
    return (dt.date(int(spelled[:4]), int(spelled[4:6]), int(spelled[6:])) - dt.date(1970, 1, 1)).days
