"""Migrations: numbered files, each with a part before the new code runs (`pre`) and, where it needs one, a part after (`post`).

`pre` only adds, so that the processes of the version before go on working beside those of the new one; `post` takes away
what nobody needs any more, once the last old process has ended. All is done under one lock, each part in its own transaction,
and recorded with it; whoever comes second finds it done.

A process works with a database whose `pre` is at its own number or one further, and whose `post` is at most at its own: so a
rolling upgrade is migrate `pre`, replace the processes, migrate `post`.
"""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from typing import Literal, NamedTuple

import asyncpg

from sendwright.drivers.store.named import codes
from sendwright.drivers.store.postgres.connections import CONNECT_S, Db
from sendwright.errors import StoreUnusable
from sendwright.model.states import AttemptState, MessageState

Phase = Literal["pre", "post"]

_NAME = re.compile(r"^(\d{4})_(\w+)\.(pre|post)\.sql$")
_LOCK = 0x53_57_4D_49
LOCK_S = 2
"""So long may a part of a migration wait for a lock, lest everybody queue up behind it."""
TURNS = 10
PAUSE_S = 1.0
"""It is tried so often, so far apart: between two turns those who work get through."""

UNFINISHED = 1 << 62
"""Of a move: later than any time."""

_RECORD = """create table if not exists migrations (
  number integer not null, phase text not null, name text not null, at timestamptz not null default now(),
  primary key (number, phase))"""


class Migration(NamedTuple):
    """One part of one migration."""

    number: int
    phase: Phase
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All of this version's, in order."""
    found = []
    for file in (files(__package__) / "migrations").iterdir():
        match = _NAME.match(file.name)
        if match is not None:
            phase: Phase = "pre" if match[3] == "pre" else "post"
            text = file.read_text("utf-8").replace("{message_states}", codes(MessageState))
            found.append(Migration(int(match[1]), phase, match[2], text.replace("{attempt_states}", codes(AttemptState))))
    return sorted(found, key=lambda m: (m.number, m.phase == "post"))


SCHEMA = max(migration.number for migration in migrations())
"""The number of the schema that this version is written for."""


async def migrate(url: str, *, post: bool = True) -> list[str]:
    """Brings the database up to this version, under a lock. Without `post`: as long as processes of the version before run.

    Returns what was done. Raises `StoreUnusable` when the database is of a later version, or can't be reached."""
    try:
        db = await asyncpg.connect(url, timeout=CONNECT_S, server_settings={"application_name": "sendwright-migrate"})
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StoreUnusable(f"PostgreSQL can't be reached ({type(error).__name__})") from error
    try:
        await db.execute("select pg_advisory_lock($1)", _LOCK)
        await db.execute(_RECORD)
        done = {(row[0], row[1]) for row in await db.fetch("select number, phase from migrations")}
        newest = max((number for number, _ in done), default=0)
        if newest > SCHEMA:
            raise StoreUnusable(f"the database has schema {newest}, this version knows {SCHEMA}: upgrade first")
        made = []
        for migration in migrations():
            if (migration.number, migration.phase) not in done and (post or migration.phase == "pre"):
                await _apply(db, migration)
                made.append(f"{migration.number:04} {migration.name} ({migration.phase})")
        await raise_event_base(db)
        return made
    finally:
        await db.close()


async def check(db: Db) -> None:
    """Raises `StoreUnusable` when this version can't work with the database: its schema does not fit, or it is only half there."""
    await check_schema(db)
    if await moved_at(db) == UNFINISHED:
        raise StoreUnusable("a move into this database is not finished: run `sendwright move` again")
    if await db.fetchval("select exists (select from fence where holding)"):
        raise StoreUnusable("what waits in this database is being held after a restore: run `sendwright restore` again")
    await raise_event_base(db)


async def moved_at(db: Db) -> int | None:
    """When this database was filled by a move, in ms since 1970; None where it never was, `UNFINISHED` while it is."""
    if await db.fetchval("select to_regclass('moves')") is None:
        return None
    at: int | None = await db.fetchval("select max(coalesce(finished_at, $1)) from moves", UNFINISHED)
    return at


async def check_schema(db: Db) -> None:
    """Raises `StoreUnusable` when this version can't work with the database's schema."""
    if await db.fetchval("select to_regclass('migrations')") is None:
        raise StoreUnusable("the database has no schema yet: run `sendwright migrate`")
    pre: int = await db.fetchval("select coalesce(max(number), 0) from migrations where phase = 'pre'")
    post: int = await db.fetchval("select coalesce(max(number), 0) from migrations where phase = 'post'")
    if pre < SCHEMA:
        hint = "run `sendwright migrate`, with `--before` while processes of the version before still work"
        raise StoreUnusable(f"the database has schema {pre}, this version needs {SCHEMA}: {hint}")
    if pre > SCHEMA + 1 or post > SCHEMA:
        raise StoreUnusable(f"the database has schema {max(pre, post)}, this version knows {SCHEMA}: upgrade it")


async def _apply(db: Db, migration: Migration) -> None:
    for _ in range(TURNS - 1):
        try:
            return await _applied(db, migration)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(PAUSE_S)
    try:
        await _applied(db, migration)
    except asyncpg.LockNotAvailableError as error:
        name = f"{migration.number:04} {migration.name} ({migration.phase})"
        raise StoreUnusable(f"{name} got no lock in {TURNS} turns of {LOCK_S} s: nothing of it was done; try again") from error


async def _applied(db: Db, migration: Migration) -> None:
    async with db.transaction():
        await db.execute(f"set local lock_timeout = '{LOCK_S}s'")
        await db.execute(migration.sql)
        await db.execute(
            "insert into migrations (number, phase, name) values ($1, $2, $3)", migration.number, migration.phase, migration.name
        )


async def raise_event_base(db: Db) -> None:
    """A server into which a dump was restored counts its transactions anew: its events must come after those of before."""
    await db.execute(
        "update event_base set value = e.last + 4096 - (pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 12)"
        " from (select coalesce(max(seq), 0) as last from events) e"
        " where e.last >= event_base.value + (pg_current_xact_id()::text::bigint << 12)"
    )
