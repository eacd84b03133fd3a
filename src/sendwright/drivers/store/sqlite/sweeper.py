"""Retention: rows past their time are deleted in slices that take the writer a few milliseconds.

Age counts from the last move, not from the accept: a message that was scheduled for a year is young when it is sent, and
so is a doubt when it is resolved. Only settled messages go, with everything of their notification at once; one message
that is not settled, or has moved since, keeps it all. A process's numbers that are forgotten with it are noted, so that
the recount does not take them for gaps.

An id tells when it was accepted, before which nothing can have moved: so the walk is over ids, from the oldest to the
first that is too young, a stretch per slice. What has to stay is passed by once per walk, and not looked at in every slice.
"""

from __future__ import annotations

from typing import NamedTuple

import apsw

from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, rows_of
from sendwright.model import ids

STRETCH = 200
"""Most notifications in one slice, and most of their rows but for those of the last one."""


class _Slice(NamedTuple):
    keys_before: int
    content_before: int
    rows_before: int
    after: str
    """The notification where the slice before this one ended."""


class SqliteSweeper:
    """ports.Sweeper."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._sweep = _Sweep()
        self._after = ""

    async def slice(self, *, keys_before: int, content_before: int, rows_before: int) -> bool:
        wanted = _Slice(keys_before, content_before, rows_before, self._after)
        answer: tuple[str, bool] = await self._writer.submit(self._sweep, wanted)
        self._after, more = answer
        return more


class _Sweep(Operation):
    """Items: slices. Answers where each ended, "" at the end of the walk, and whether there is more."""

    def apply(self, db: apsw.Connection, items: list[_Slice]) -> list[tuple[str, bool]]:
        return [self._one(db, item) for item in items]

    def _one(self, db: apsw.Connection, asked: _Slice) -> tuple[str, bool]:
        db.execute(SQL["keys_expire"], (asked.keys_before,))
        more = db.changes() > 0
        for table in ("strays", "dead_parcels", "trials"):
            db.execute(f"delete from {table} where at < ?1", (asked.rows_before,))  # noqa: S608 — names of ours
        more |= self._replies(db, asked.rows_before)
        db.execute(SQL["notices_delete"], (ids.floor(ids.NOTICE, asked.rows_before),))
        more |= db.changes() > 0
        wanted, after = _stretch(db, asked)
        if wanted:
            self._rows(db, wanted, asked.rows_before)
            db.execute(SQL["content_expire"], (rows_of(wanted), asked.content_before))
        return after, more or bool(after)

    def _replies(self, db: apsw.Connection, before: int) -> bool:
        """Whether there may be more."""
        old = db.execute(SQL["replies_old"], (before,)).get
        if old == "[]":
            return False
        for name in ("reply_events_delete", "replies_delete"):
            db.execute(SQL[name], (old,))
        return True

    def _rows(self, db: apsw.Connection, wanted: list[str], before: int) -> None:
        old = db.execute(SQL["notifications_old"], (rows_of(wanted), before)).get
        if old == "[]":
            return
        for name in ("forget_numbers", "delete_events", "delete_attempts", "delete_messages", "delete_notifications"):
            db.execute(SQL[name], (old,))


def _stretch(db: apsw.Connection, asked: _Slice) -> tuple[list[str], str]:
    """The notifications to look at, and where to go on: "" where there are no more."""
    high = ids.floor(ids.NOTIFICATION, max(asked.content_before, asked.rows_before))
    rows = db.execute(SQL["stretch"], (asked.after, high, STRETCH)).fetchall()
    wanted: list[str] = []
    heap = 0
    for id_, weight in rows:
        wanted.append(str(id_))
        heap += int(weight)  # type: ignore[arg-type]
        if heap >= STRETCH:
            return wanted, wanted[-1]
    return wanted, ""
