"""The list of suppressions, and what people have said back, over SQLite."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Sequence
from typing import Any

import apsw

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, fetch, rows_of
from sendwright.model.people import REPLIED, UNSUBSCRIBED, Heard, Hearing, Leaving, Suppression


class SqliteSuppressions:
    """engine.people.Suppressions."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._add = _AddAll()
        self._lift = _LiftAll()
        self._unsubscribe = _UnsubscribeAll()
        self._hear = _HearAll()

    def add(self, suppression: Suppression) -> Awaitable[Suppression]:
        return self._writer.submit(self._add, suppression, soon=True)

    def lift(self, tenant: str, id_: str) -> Awaitable[bool]:
        return self._writer.submit(self._lift, (tenant, id_), soon=True)

    def unsubscribe(self, leaving: Leaving) -> Awaitable[bool]:
        return self._writer.submit(self._unsubscribe, leaving, soon=True)

    async def find(self, tenants: Collection[str], marks: Collection[str], now: int) -> Sequence[Suppression]:
        wanted = (rows_of(list(tenants)), rows_of(list(marks)), now)
        return _read(await self._reader.run(lambda db: fetch(db, SQL["suppressions_of"], *wanted)))

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
        return _read(await self._reader.run(lambda db: fetch(db, SQL["suppressions_page"], *wanted)))

    def hear(self, heard: Heard) -> Awaitable[Hearing]:
        return self._writer.submit(self._hear, heard, soon=True)


def _read(rows: Any) -> list[Suppression]:
    return [Suppression(*row) for row in rows or ()]


def put(db: apsw.Connection, suppressions: Iterable[Suppression]) -> None:
    """Within a transaction; what is over goes on the same occasion."""
    rows = {s.id: _row(s) for s in suppressions}
    if rows:
        db.execute(SQL["suppressions_over"], (min(row[8] for row in rows.values()),))
        db.execute(SQL["suppressions_save"], (rows_of(list(rows.values())),))


def _row(s: Suppression) -> tuple[Any, ...]:
    return (s.id, s.tenant, s.channel, s.mark, s.category, s.masked, s.reason, s.source, s.created_at, s.expires_at)


class _AddAll(Operation):
    """Items: suppressions. Of one id the last counts."""

    def apply(self, db: apsw.Connection, items: list[Suppression]) -> list[Suppression]:
        put(db, items)
        found = {row.id: row for row in _read(fetch(db, SQL["suppressions_found"], rows_of([s.id for s in items])))}
        return [found[s.id] for s in items]


class _LiftAll(Operation):
    """Items: (tenant, id)."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, str]]) -> list[bool]:
        answers = []
        for item in items:
            db.execute(SQL["suppressions_lift"], item)
            answers.append(db.changes() > 0)
        return answers


class _UnsubscribeAll(Operation):
    """Items: who leaves, in order. The second of one message finds the event of the first."""

    def apply(self, db: apsw.Connection, items: list[Leaving]) -> list[bool]:
        put(db, [leaving.row for leaving in items])
        told = []
        for row, message in ((leaving.row, leaving.message) for leaving in items):
            db.execute(SQL["unsubscribed"], (message, row.tenant, row.created_at, UNSUBSCRIBED, row.channel))
            told.append(db.changes() > 0)
        return told


class _HearAll(Operation):
    """Items: what was heard, in order."""

    def apply(self, db: apsw.Connection, items: list[Heard]) -> list[Hearing]:
        rows = {(h.provider, h.ref): h for h in reversed(items)}
        inserted = db.execute(SQL["replies_insert"], (rows_of([(h.provider, h.ref, h.id, h.mark, h.at) for h in rows.values()]),))
        fresh = {str(row[0]) for row in inserted.fetchall()}
        new = [heard for heard in items if heard.id in fresh and rows[heard.provider, heard.ref] is heard]
        events = [(heard.at, heard.tenant, REPLIED, heard.id, heard.told) for heard in new]
        db.execute(SQL["insert_events"], (rows_of(events),))
        for heard in new:  # in order: who said stop and then start has started
            if (heard.stops or heard.starts) and not _overtaken(db, heard):
                put(db, heard.stops)
                if heard.starts:
                    starts = [(mark, heard.channel, heard.lifts) for mark in heard.starts]
                    db.execute(SQL["suppressions_start"], (rows_of(starts),))
        return _hearings(db, items, {id(heard) for heard in new})


def _overtaken(db: apsw.Connection, heard: Heard) -> bool:
    """Whether something else is known that the same person asked for there, in the same way, and said later."""
    asked = (heard.mark, REPLIED, heard.channel, heard.how, heard.said_at)
    return bool(db.execute(SQL["replies_overtaken"], asked).get)


def _hearings(db: apsw.Connection, items: list[Heard], new: Collection[int]) -> list[Hearing]:
    """One for each; `new` holds the identities of those that were not heard before."""
    again = [(heard.provider, heard.ref) for heard in items if id(heard) not in new]
    found = fetch(db, SQL["replies_found"], rows_of(again)) if again else ()
    known = {(provider, ref): Hearing(id_, at, fresh=False) for provider, ref, id_, at in found or ()}
    return [Hearing(h.id, h.at, fresh=True) if id(h) in new else known[h.provider, h.ref] for h in items]
