"""The database that is moved to: rows by pages, each in one transaction with how far it has come.

So a page is there or not, and is never written twice, wherever the move was killed. While a move is not finished, no other
process opens the database (migrate.py), and one that had it open already is looked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from sendwright.drivers.move.tables import TABLES, Row, Table
from sendwright.drivers.store.postgres.checkroom import PostgresCheckroom
from sendwright.drivers.store.postgres.connections import SETTINGS, Connections, Db
from sendwright.drivers.store.postgres.migrate import check_schema, raise_event_base
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.quarantine import PostgresQuarantine
from sendwright.errors import StoreUnusable

LANES, FINISHED = "lanes", "finished"
STAGES = (*(table.name for table in TABLES), LANES, FINISHED)
COUNT_S = 3600
"""How long counting the rows of a table may take."""
OURS = "sendwright-move"

_RECORD = """create table if not exists moves (
  source bigint primary key, began_at bigint not null, stage text not null, after text not null, done bigint not null,
  finished_at bigint)"""
_EMPTY = ("repeats", "checkroom")
"""Beside those that are filled."""


class Progress(Struct, frozen=True):
    """How far a move has come."""

    stage: str
    after: tuple[Any, ...] = ()
    """The key of the last row of the stage, or the number of its last bundle, that is done."""
    done: int = 0
    """Rows, or parcels, of the stage that are done."""


class Target:
    """The database, for a move."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._partitions = Partitions(connections)
        self._days: set[int] = set()
        self.dead = PostgresQuarantine(connections)
        self.checkroom = PostgresCheckroom(connections)

    async def look(self, source: int | None) -> Progress | None:
        """How far the move of that source has come; None where it has not begun. Raises `StoreUnusable` where it may not begin."""
        return await self._connections.reading(lambda db: _found(db, source))

    async def begin(self, source: int, now: int) -> Progress:
        """Records the move, or finds how far it has come. Raises `StoreUnusable` where the database holds anything else."""

        async def work(db: Db) -> Progress:
            await db.execute(_RECORD)
            await db.execute("lock table moves in exclusive mode")
            found = await _found(db, source)
            if found is None:
                found = Progress(STAGES[0])
                sql = "insert into moves (source, began_at, stage, after, done) values ($1, $2, $3, '[]', 0)"
                await db.execute(sql, source, now, found.stage)
            return found

        return await self._connections.transaction("move", work)

    async def alone(self) -> None:
        """Raises `StoreUnusable` while other processes have the database open: those that began before the move was recorded."""
        sql = "select count(*) from pg_stat_activity where datname = current_database() and application_name = $1"
        ((others,),) = await self._connections.query(sql, SETTINGS["application_name"])
        if others:
            raise StoreUnusable(f"Sendwright's processes are connected to the database ({others} connections): stop them first")

    async def fill(self, source: int, table: Table, rows: Sequence[Row], there: Progress) -> None:
        """Writes a page of rows, and how far that brings the move."""
        missing = table.days(rows) - self._days
        if missing:
            await self._partitions.make_days(missing)
            self._days |= missing

        async def work(db: Db) -> None:
            try:
                await db.copy_records_to_table(table.name, records=rows, columns=table.filled)
            except asyncpg.UniqueViolationError as error:
                raise StoreUnusable(f"somebody else has written to {table.name} of the database: make it anew") from error
            await _note(db, source, there)

        await self._connections.transaction("move", work)

    async def note(self, source: int, there: Progress) -> None:
        """The move has come so far."""
        await self._connections.transaction("move", lambda db: _note(db, source, there))

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""

        async def work(db: Db) -> dict[str, int]:
            await db.execute("begin isolation level repeatable read read only")
            await db.execute(f"set local statement_timeout = '{COUNT_S}s'")
            await db.execute("set local enable_seqscan = on")
            sql = "select count(*) from {}"
            found = {table.name: int(await db.fetchval(sql.format(table.name), timeout=COUNT_S)) for table in TABLES}
            await db.execute("commit")
            return found

        return await self._connections.reading(work)

    async def finish(self, source: int, epoch: int, fence: int | None, now: int) -> None:
        """Everything is here: numbers go on where the file's ended, and others may open the database."""

        async def work(db: Db) -> None:
            await db.execute("update processes set reported_at = $1, marked_at = $1", now)
            await db.execute("update epoch set value = greatest(value, $1)", epoch)
            if fence is not None:
                await db.execute("insert into fence (at, holding) values ($1, false)", fence)
            await db.execute("select setval('wait_serials', greatest((select max(serial) from waits), nextval('wait_serials')))")
            await raise_event_base(db)
            await _note(db, source, Progress(FINISHED))
            await db.execute("update moves set finished_at = $2 where source = $1", source, now)

        await self._connections.transaction("move", work)


async def _found(db: Db, source: int | None) -> Progress | None:
    await check_schema(db)
    if await db.fetchval("select to_regclass('moves')") is not None:
        rows = {row[0]: row for row in await db.fetch("select source, stage, after, done, finished_at from moves")}
        if source in rows:
            _, stage, after, done, _ = rows[source]
            return Progress(stage, tuple(msgspec.json.decode(after)), done)
        if any(finished is None for *_, finished in rows.values()):
            raise StoreUnusable(
                "the database holds part of another move, or of one that was given up: make it anew, and `sendwright migrate` it"
            )
    for name in (*(table.name for table in TABLES), *_EMPTY):
        if await db.fetchval(f"select exists (select from {name})"):  # noqa: S608 — names of ours
            raise StoreUnusable(f"the database is not empty ({name}): a move needs one of its own")
    return None


async def _note(db: Db, source: int, there: Progress) -> None:
    after = msgspec.json.encode(there.after).decode()
    await db.execute("update moves set stage = $2, after = $3, done = $4 where source = $1", source, there.stage, after, there.done)


@asynccontextmanager
async def open_target(url: str, *, settings: dict[str, str] | None = None) -> AsyncIterator[Target]:
    """The database of a move; `settings` are the server's, on each connection. Raises `StoreUnusable` where it lets nobody in,
    `StoreDown` when it can't be reached."""
    connections = Connections(url, settings={**(settings or {}), "application_name": OURS}, most=4)
    try:
        yield Target(connections)
    finally:
        await connections.close()
