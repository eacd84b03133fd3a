"""The inboxes, over SQLite."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import Any

import apsw
import msgspec

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, rows_of
from sendwright.model.inbox import Counts, Item, ItemContent, Mark, Place, View, marked

_SAID = msgspec.json.Decoder(ItemContent)
_Change = tuple[str, str, Collection[str] | None, Mark, int, int | None]


class SqliteInbox:
    """ports.Inbox."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._add = _AddAll()
        self._mark = _MarkAll()
        self._reported = _ReportedAll()
        self._forget = _ForgetAll()

    def add(self, item: Item) -> Awaitable[None]:
        return self._writer.submit(self._add, item)

    def page(
        self, tenant: str, recipient: str, view: View, now: int, limit: int, after: Place | None = None
    ) -> Awaitable[Sequence[Item]]:
        at, id_ = after or (None, None)
        args = (tenant, recipient, now, at, id_, limit)
        return self._reader.run(lambda db: _items(db.execute(SQL[f"inbox_{view}"], args)))

    def counts(self, tenant: str, recipient: str, now: int) -> Awaitable[Counts]:
        return self._reader.run(lambda db: _counts(db.execute(SQL["inbox_counts"], (tenant, recipient, now)).fetchone()))

    def mark(
        self, tenant: str, recipient: str, ids: Collection[str] | None, mark: Mark, now: int, until: int | None = None
    ) -> Awaitable[Sequence[Item]]:
        return self._writer.submit(self._mark, (tenant, recipient, ids, mark, now, until))

    def owed(self, limit: int) -> Awaitable[Sequence[Item]]:
        return self._reader.run(lambda db: _items(db.execute(SQL["inbox_owed"], (limit,))))

    def reported(self, items: Sequence[Item]) -> Awaitable[None]:
        return self._writer.submit(self._reported, [(item.id, item.owed) for item in items])

    def forget(self, before: int, limit: int) -> Awaitable[int]:
        return self._writer.submit(self._forget, (before, limit))


def _items(rows: Any) -> list[Item]:
    found = []
    for id_, tenant, recipient, at, provider, attempt, said, *times in rows:
        found.append(Item(id_, tenant, recipient, at, provider, attempt, _SAID.decode(said), *times))
    return found


def _counts(row: Any) -> Counts:
    unread, total, every, changed_at = row
    return Counts(unread, total, f"{unread}.{total}.{every}.{changed_at}")


class _AddAll(Operation):
    """Items: an inbox's."""

    def apply(self, db: apsw.Connection, items: list[Item]) -> list[None]:
        rows = [(i.id, i.tenant, i.recipient, i.at, i.provider, i.attempt, msgspec.json.encode(i.said).decode()) for i in items]
        db.execute(SQL["inbox_add"], (rows_of(rows),))
        return [None] * len(items)


class _MarkAll(Operation):
    """Items: whose, which (None: all that show), what becomes of them, when."""

    def apply(self, db: apsw.Connection, items: list[_Change]) -> list[list[Item]]:
        return [self._one(db, *item) for item in items]

    def _one(
        self, db: apsw.Connection, tenant: str, recipient: str, ids: Collection[str] | None, mark: Mark, now: int, until: int | None
    ) -> list[Item]:
        wanted = None if ids is None else rows_of(list(ids))
        found = _items(db.execute(SQL["inbox_named"], (tenant, recipient, wanted, now)))
        changed = [after for item in found if (after := marked(item, mark, now, until)) is not item]
        rows = [(i.id, i.delivered_at, i.read_at, i.archived_at, i.snoozed_until, now, i.owed) for i in changed]
        if rows:
            db.execute(SQL["inbox_mark"], (rows_of(rows),))
        return changed


class _ReportedAll(Operation):
    """Items: what was reported, each with its item's id."""

    def apply(self, db: apsw.Connection, items: list[list[tuple[str, int | None]]]) -> list[None]:
        db.execute(SQL["inbox_reported"], (rows_of([row for rows in items for row in rows]),))
        return [None] * len(items)


class _ForgetAll(Operation):
    """Items: before when, and how many at the most."""

    def apply(self, db: apsw.Connection, items: list[tuple[int, int]]) -> list[int]:
        gone = []
        for item in items:
            db.execute(SQL["inbox_forget"], item)
            gone.append(db.changes())
        return gone
