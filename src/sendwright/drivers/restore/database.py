"""A PostgreSQL database that was restored: from the beginning of the holding to its end nobody opens it (migrate.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from sendwright.drivers.restore.doubting import HELD, SEEN, UNSETTLED, Unsettled, supposed
from sendwright.drivers.store.postgres.connections import SETTINGS, Connections, Db, first
from sendwright.drivers.store.postgres.migrate import UNFINISHED, check_schema, moved_at, raise_event_base
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.rows import columns, day_of
from sendwright.drivers.store.postgres.supposed import suppose
from sendwright.errors import StoreUnusable
from sendwright.model import ids
from sendwright.model.states import AttemptState, MessageState

OURS = "sendwright-restore"

_LAST = "select max(id) from (select id from messages where id > $1 order by id limit $2) m"
_PAGE = f"""select m.id, m.tenant, m.state, m.number, m.step, m.steps
from messages m left join waits w on w.message = m.id
where m.id > $1 and m.id <= $2 and m.state in {UNSETTLED}
  and not (m.state = {MessageState.SCHEDULED.value} and coalesce(w.key, '') = 'time' and w.due_at > $3)
order by m.id"""  # noqa: S608 — numbers of ours
_OPEN = """update attempts a set state = $2, finished_at = coalesce(a.finished_at, $3), reason = $4, detail = $5
where a.id = any($1::text[]) and a.state = $6"""
_MESSAGES = (
    """update messages m set state = $2, token = null, reason = $3, detail = $4, updated_at = $5 where m.id = any($1::text[])"""
)
_EVENTS = """insert into events (seq, day, at, tenant, type, subject, detail)
select (select value from event_base) + (pg_current_xact_id()::text::bigint << 12) + c.place - 1,
  c.day, $4, c.tenant, $5, c.subject, $6
from unnest($1::text[], $2::text[], $3::integer[]) with ordinality as c (subject, tenant, day, place)"""


class RestoredDatabase:
    """doubting.Restored, over a database."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._partitions = Partitions(connections)

    async def begin(self) -> int:
        async def work(db: Db) -> bool:
            await check_schema(db)
            await raise_event_base(db)
            if await moved_at(db) == UNFINISHED:
                raise StoreUnusable("a move into this database is not finished: run `sendwright move` again")
            before: bool = await db.fetchval("select coalesce((select holding from fence), false)")
            await db.execute("insert into fence (holding) values (true) on conflict (one) do update set holding = true")
            return before

        before = await self._connections.transaction("restore", work)
        sql = "select count(*) from pg_stat_activity where datname = current_database() and application_name = $1"
        others = first(await self._connections.query(sql, SETTINGS["application_name"]))
        if others:
            if not before:
                await self._connections.transaction("restore", lambda db: db.execute("update fence set holding = false"))
            raise StoreUnusable(f"Sendwright's processes are connected to the database ({others} connections): stop them first")
        return int(first(await self._connections.query("select (extract(epoch from clock_timestamp()) * 1000)::bigint")))

    async def page(self, after: str, now: int) -> tuple[Sequence[Unsettled], str | None]:
        last: str | None = first(await self._connections.query(_LAST, after, SEEN))
        rows = [] if last is None else [Unsettled(*row) for row in await self._connections.query(_PAGE, after, last, now)]
        return rows, last

    async def hold(self, rows: Sequence[Unsettled], now: int, providers: Mapping[str, str]) -> None:
        await self._partitions.make(row.id for row in rows)
        state, reason, detail = HELD
        attempts = [found for row in rows if (found := supposed(row, now, providers)) is not None]
        known = {attempt.message for attempt in attempts}
        last = [ids.attempt_id(row.id, row.number) for row in rows if row.id not in known]

        async def work(db: Db) -> None:
            open_, doubt = AttemptState.SENDING.value, AttemptState.IN_DOUBT.value
            await db.execute(_OPEN, last, doubt, now, reason, detail, open_)
            await suppose(db, attempts)
            every = [row.id for row in rows]
            await db.execute(_MESSAGES, every, state.value, reason, detail, now)
            await db.execute("delete from waits where message = any($1::text[])", every)
            told = columns([(row.id, row.tenant, day_of(row.id)) for row in rows], 3)
            await db.execute(_EVENTS, *told, now, f"message.{state.label}", reason)

        await self._connections.transaction("restore", work)

    async def release(self, fence: int | None) -> None:
        async def work(db: Db) -> None:
            await db.execute(
                "insert into fence (at, holding) values ($1, false)"
                " on conflict (one) do update set at = coalesce($1, fence.at), holding = false",
                fence,
            )

        await self._connections.transaction("restore", work)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[RestoredDatabase]:
    """The database. Raises `StoreUnusable` where it lets nobody in, `StoreDown` when it can't be reached."""
    connections = Connections(url, settings={"application_name": OURS}, most=2)
    try:
        yield RestoredDatabase(connections)
    finally:
        await connections.close()
