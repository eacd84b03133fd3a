"""Parcels that nobody can read, kept raw with what is wrong with them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import apsw

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.writer import Operation, Writer
from sendwright.model.ids import parcel_id
from sendwright.model.records import DeadParcel

_COLUMNS = "id, lane, at, problem, length(body)"


class SqliteQuarantine:
    """ports.DeadParcels."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._keep = _KeepAll()
        self._drop = _DropAll()

    def keep(self, lane: str, body: bytes, problem: str, now: int) -> Awaitable[None]:
        return self._writer.submit(self._keep, (lane, body, problem, now))

    def newest(self, limit: int) -> Awaitable[Sequence[DeadParcel]]:
        sql = f"select {_COLUMNS} from dead_parcels order by at desc, id desc limit ?1"  # noqa: S608 — names of ours
        return self._reader.run(lambda db: [DeadParcel(*row) for row in db.execute(sql, (limit,))])

    def found(self, id_: str) -> Awaitable[tuple[DeadParcel, bytes] | None]:
        return self._reader.run(lambda db: _found(db, id_))

    def drop(self, id_: str, at: int | None = None) -> Awaitable[bool]:
        return self._writer.submit(self._drop, (id_, at))


def _found(db: apsw.Connection, id_: str) -> tuple[DeadParcel, bytes] | None:
    sql = f"select {_COLUMNS}, body from dead_parcels where id = ?1"  # noqa: S608 — names of ours
    for *columns, body in db.execute(sql, (id_,)):
        return DeadParcel(*columns), body
    return None


class _KeepAll(Operation):
    """Items: (lane, body, problem, now). A repeat's time is always a later one, so that a replay can tell it from the one
    that it published."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, bytes, str, int]]) -> list[None]:
        for lane, body, problem, now in items:
            db.execute(
                "insert into dead_parcels (id, tenant, kind, lane, at, problem, body) values (?1, '', 'parcel', ?2, ?3, ?4, ?5)"
                " on conflict (id) do update set at = max(at + 1, excluded.at), problem = excluded.problem",
                (parcel_id(lane, body), lane, now, problem, body),
            )
        return [None] * len(items)


class _DropAll(Operation):
    """Items: (id, when it was kept, or None for whenever)."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, int | None]]) -> list[bool]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, id_: str, at: int | None) -> bool:
        db.execute("delete from dead_parcels where id = ?1 and at = coalesce(?2, at)", (id_, at))
        return db.changes() > 0
