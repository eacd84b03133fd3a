"""The list of suppressions, and what people have said back, over PostgreSQL.

Claims only read the list, and so never wait for one another. Who writes it takes the table's lock first, which waits for the
claims that have read it, and lets no other read it until the commit: once a suppression is answered, nothing is claimed that it
forbids. Whoever takes that lock takes it before that of any row, so that nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Sequence
from typing import Any

from sendwright.drivers.store.postgres.batcher import Batcher
from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.rows import clean, columns, day_of
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.model.people import REPLIED, UNSUBSCRIBED, Heard, Hearing, Leaving, Suppression


class PostgresSuppressions:
    """engine.people.Suppressions."""

    def __init__(self, connections: Connections, partitions: Partitions) -> None:
        self._connections = connections
        self._add: Batcher[Suppression, Suppression] = Batcher(self._add_all, repeatable=True)
        self._lift: Batcher[tuple[str, str], bool] = Batcher(self._lift_all)
        self._unsubscribe: Batcher[Leaving, bool] = Batcher(
            self._unsubscribe_all, key=lambda leaving: leaving.message, repeatable=True
        )
        self._hear: Batcher[Heard, Hearing] = Batcher(
            self._hear_all,
            mend=lambda items: partitions.make(heard.id for heard in items),
            key=lambda heard: (heard.provider, heard.ref),
        )

    async def close(self) -> None:
        for batcher in (self._add, self._lift, self._unsubscribe, self._hear):
            await batcher.close()

    def add(self, suppression: Suppression) -> Awaitable[Suppression]:
        return self._add.submit(suppression, urgent=True)

    def lift(self, tenant: str, id_: str) -> Awaitable[bool]:
        return self._lift.submit((tenant, id_), urgent=True)

    def unsubscribe(self, leaving: Leaving) -> Awaitable[bool]:
        return self._unsubscribe.submit(leaving, urgent=True)

    async def find(self, tenants: Collection[str], marks: Collection[str], now: int) -> Sequence[Suppression]:
        return _read(await self._connections.read("suppressions_of", list(tenants), list(marks), now))

    async def page(
        self,
        tenant: str,
        limit: int,
        after: str | None,
        now: int,
        *,
        channel: str | None = None,
        reason: str | None = None,
        source: str | None = None,
    ) -> Sequence[Suppression]:
        wanted = (tenant, after or "", now, channel, reason, limit, source)
        return _read(await self._connections.read("suppressions_page", *wanted))

    def hear(self, heard: Heard) -> Awaitable[Hearing]:
        return self._hear.submit(heard, urgent=True)

    async def _add_all(self, items: list[Suppression]) -> list[Suppression]:
        async def work(db: Db) -> list[Suppression]:
            await locked_list(db)
            await put(db, items)
            found = {row.id: row for row in _read(await db.fetch(SQL["suppressions_found"], [s.id for s in items]))}
            return [found[s.id] for s in items]

        return await self._connections.transaction("add", work)

    async def _lift_all(self, items: list[tuple[str, str]]) -> list[bool]:
        rows = await self._connections.statement("lift", "suppressions_lift", *columns(sorted(set(items)), 2))
        gone = {row[0] for row in rows}
        return [id_ in gone and items.index((tenant, id_)) == place for place, (tenant, id_) in enumerate(items)]

    async def _unsubscribe_all(self, items: list[Leaving]) -> list[bool]:
        """The list's lock is also what lets one at a time look whether a message has its event."""

        async def work(db: Db) -> list[bool]:
            await locked_list(db)
            await put(db, [leaving.row for leaving in items])
            rows = [
                (day_of(it.message), it.row.created_at, it.row.tenant, UNSUBSCRIBED, it.message, it.row.channel) for it in items
            ]
            told = {row[0] for row in await db.fetch(SQL["unsubscribed"], *columns(rows, 6))}
            return [leaving.message in told for leaving in items]

        return await self._connections.transaction("unsubscribe", work)

    async def _hear_all(self, items: list[Heard]) -> list[Hearing]:
        return await self._connections.transaction("hear", lambda db: _heard(db, items))


def _read(rows: Iterable[Any]) -> list[Suppression]:
    return [Suppression(*row) for row in rows]


async def locked_list(db: Db) -> None:
    """Holds the list against every claim until the commit. Before any row is locked."""
    await db.execute("lock table suppressions in access exclusive mode")


async def put(db: Db, suppressions: Iterable[Suppression]) -> None:
    """The list is locked. What is over goes on the same occasion."""
    rows = {s.id: _row(s) for s in suppressions}
    if rows:
        await db.execute(SQL["suppressions_over"], min(row[8] for row in rows.values()))
        await db.execute(SQL["suppressions_save"], *columns(sorted(rows.values()), 10))


def _row(s: Suppression) -> tuple[Any, ...]:
    return (s.id, s.tenant, s.channel, s.mark, s.category, clean(s.masked), s.reason, s.source, s.created_at, s.expires_at)


async def _heard(db: Db, items: list[Heard]) -> list[Hearing]:
    if any(heard.stops or heard.starts for heard in items):
        await locked_list(db)
    rows = sorted((h.provider, clean(h.ref), h.id, h.mark, h.at) for h in items)
    fresh = {row[0] for row in await db.fetch(SQL["replies_insert"], *columns(rows, 5))}
    new = [heard for heard in items if heard.id in fresh]
    events = [(day_of(heard.id), heard.at, heard.tenant, REPLIED, heard.id, clean(heard.told)) for heard in new]
    await db.execute(SQL["insert_events"], *columns(events, 6))
    for heard in new:  # in order: who said stop and then start has started
        if (heard.stops or heard.starts) and not await _overtaken(db, heard):
            await put(db, heard.stops)
            if heard.starts:
                await db.execute(SQL["suppressions_start"], list(heard.starts), heard.channel, heard.lifts)
    again = [(heard.provider, clean(heard.ref)) for heard in items if heard.id not in fresh]
    found = await db.fetch(SQL["replies_found"], *columns(again, 2)) if again else ()
    known = {(row[0], row[1]): Hearing(row[2], row[3], fresh=False) for row in found}
    return [Hearing(h.id, h.at, fresh=True) if h.id in fresh else known[h.provider, clean(h.ref)] for h in items]


async def _overtaken(db: Db, heard: Heard) -> bool:
    """Whether something else is known that the same person asked for there, in the same way, and said later."""
    ids = [row[0] for row in await db.fetch(SQL["replies_of"], heard.mark)]
    wanted = (REPLIED, clean(heard.channel), heard.how, heard.said_at)
    found = await db.fetch(SQL["replies_overtaken"], [day_of(id_) for id_ in ids], ids, *wanted)
    return bool(found)
