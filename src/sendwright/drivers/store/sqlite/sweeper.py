"""Retention: rows past their time are deleted in slices that take the writer a few milliseconds.

Only settled messages go, with everything of their notification at once; one message that is not settled keeps it all.
A process's numbers that are forgotten with it are noted, so that the recount does not take them for gaps.
"""

from __future__ import annotations

from collections.abc import Awaitable

import apsw

from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, fetch, rows_of
from sendwright.model import ids

SLICE = 50
"""Notifications in one slice."""


class SqliteSweeper:
    """Not a port: only the embedded store keeps its own house."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._sweep = _Sweep()

    def slice(self, *, keys_before: int, content_before: int, rows_before: int) -> Awaitable[int]:
        """Forgets one slice of each; returns how many rows it touched. Times are ms since 1970."""
        return self._writer.submit(self._sweep, (keys_before, content_before, rows_before))


class _Sweep(Operation):
    """Items: (keys before, content before, rows before)."""

    def apply(self, db: apsw.Connection, items: list[tuple[int, int, int]]) -> list[int]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, keys_before: int, content_before: int, rows_before: int) -> int:
        db.execute(SQL["keys_expire"], (keys_before,))
        touched = db.changes()
        db.execute(SQL["content_expire"], (ids.floor(ids.NOTIFICATION, content_before), SLICE))
        touched += db.changes()
        for table in ("strays", "dead_parcels"):
            db.execute(f"delete from {table} where at < ?1", (rows_before,))  # noqa: S608 — names of ours
            touched += db.changes()
        return touched + self._rows(db, rows_before)

    def _rows(self, db: apsw.Connection, before: int) -> int:
        old = fetch(db, SQL["notifications_old"], ids.floor(ids.NOTIFICATION, before), SLICE) or []
        if not old:
            return 0
        wanted = rows_of(old)
        for name in ("forget_numbers", "delete_events", "delete_attempts", "delete_messages", "delete_notifications"):
            db.execute(SQL[name], (wanted,))
        return len(old)
