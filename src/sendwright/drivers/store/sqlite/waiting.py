"""The waiting table over SQLite. Reads go to the reader's connection; only deletions take the writer's time."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

import apsw
import msgspec

from sendwright.drivers.store.sqlite.operations import parcels_from
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, fetch, rows_of
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel


class SqliteWaiting:
    """ports.Waiting."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._promoted = _Promoted()
        self._rebase = _Rebase()

    def due(self, now: int, limit: int) -> Awaitable[Sequence[Parcel]]:
        return self._reader.run(lambda db: _due(db, now, limit))

    def tenants(self, key: str, priority: Priority, first: str, most: int) -> Awaitable[dict[str, int]]:
        return self._reader.run(lambda db: dict(fetch(db, SQL["waits_tenants"], key, priority, first, most) or ()))

    def pull(self, key: str, priority: Priority, shares: Mapping[str, int]) -> Awaitable[Sequence[Parcel]]:
        of_each = msgspec.json.encode(shares).decode()
        return self._reader.run(lambda db: parcels_from(db.execute(SQL["waits_pull"], (key, priority, of_each)).get))

    def promoted(self, parcels: Sequence[Parcel], now: int) -> Awaitable[None]:
        return self._writer.submit(self._promoted, (parcels, now))

    def parked(self) -> Awaitable[dict[tuple[str, Priority], int]]:
        return self._reader.run(_parked)

    def rebase(self, now: int, ahead: int) -> Awaitable[None]:
        return self._writer.submit(self._rebase, (now, now + ahead))

    def next_due(self) -> Awaitable[int | None]:
        return self._reader.run(lambda db: db.execute(SQL["waits_next"]).get)


def _due(db: apsw.Connection, now: int, limit: int) -> list[Parcel]:
    of_each = (parcels_from(db.execute(SQL["waits_due"], (priority, now, limit)).get) for priority in Priority)
    return [parcel for parcels in of_each for parcel in parcels]


def _parked(db: apsw.Connection) -> dict[tuple[str, Priority], int]:
    rows = fetch(db, SQL["waits_keys"]) or ()
    return {(key, Priority(priority)): count for key, priority, count in rows}


class _Rebase(Operation):
    """Items: (now, the earliest time that is too far ahead)."""

    def apply(self, db: apsw.Connection, items: list[tuple[int, int]]) -> list[None]:
        for item in items:
            db.execute(SQL["waits_rebase"], item)
            db.execute(SQL["waits_rebased"], item)
        return [None] * len(items)


class _Promoted(Operation):
    """Items: (parcels, now)."""

    def apply(self, db: apsw.Connection, items: list[tuple[Sequence[Parcel], int]]) -> list[None]:
        for parcels, now in items:
            rows = rows_of([(parcel.id, parcel.wait) for parcel in parcels])
            db.execute(SQL["waits_promoted_state"], (rows, now))
            db.execute(SQL["waits_promoted"], (rows,))
        return [None] * len(items)
