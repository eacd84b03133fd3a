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
        self._tried = _TriedAll()
        self._cleared = _ClearedAll()

    def keep(self, lane: str, body: bytes, problem: str, now: int, version: int | None = None) -> Awaitable[None]:
        return self._writer.submit(self._keep, (lane, body, problem, now, version))

    def newest(self, limit: int) -> Awaitable[Sequence[DeadParcel]]:
        sql = f"select {_COLUMNS} from dead_parcels order by at desc, id desc limit ?1"  # noqa: S608 — names of ours
        return self._reader.run(lambda db: [DeadParcel(*row) for row in db.execute(sql, (limit,))])

    def found(self, id_: str) -> Awaitable[tuple[DeadParcel, bytes] | None]:
        return self._reader.run(lambda db: _found(db, id_))

    def drop(self, id_: str, at: int | None = None) -> Awaitable[bool]:
        return self._writer.submit(self._drop, (id_, at))

    def legible(self, version: int, limit: int) -> Awaitable[Sequence[tuple[DeadParcel, bytes]]]:
        return self._reader.run(lambda db: _legible(db, version, limit))

    def tried(self, lane: str, body: bytes, by: str, now: int) -> Awaitable[int]:
        return self._writer.submit(self._tried, (parcel_id(lane, body), by, now))

    def cleared(self, lane: str, body: bytes) -> Awaitable[None]:
        return self._writer.submit(self._cleared, parcel_id(lane, body))


def _found(db: apsw.Connection, id_: str) -> tuple[DeadParcel, bytes] | None:
    sql = f"select {_COLUMNS}, body from dead_parcels where id = ?1"  # noqa: S608 — names of ours
    for *columns, body in db.execute(sql, (id_,)):
        return DeadParcel(*columns), body
    return None


def _legible(db: apsw.Connection, version: int, limit: int) -> list[tuple[DeadParcel, bytes]]:
    sql = f"select {_COLUMNS}, body from dead_parcels where version <= ?1 order by at, id limit ?2"  # noqa: S608 — names of ours
    return [(DeadParcel(*columns), body) for *columns, body in db.execute(sql, (version, limit))]


class _KeepAll(Operation):
    """Items: (lane, body, problem, now, version). A repeat's time is always a later one, so that a replay can tell it from the one
    that it published."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, bytes, str, int, int | None]]) -> list[None]:
        for lane, body, problem, now, version in items:
            db.execute(
                "insert into dead_parcels (id, tenant, kind, lane, at, problem, body, version)"
                " values (?1, '', 'parcel', ?2, ?3, ?4, ?5, ?6) on conflict (id) do update"
                " set at = max(at + 1, excluded.at), problem = excluded.problem, version = excluded.version",
                (parcel_id(lane, body), lane, now, problem, body, version),
            )
        return [None] * len(items)


class _DropAll(Operation):
    """Items: (id, when it was kept, or None for whenever)."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, int | None]]) -> list[bool]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, id_: str, at: int | None) -> bool:
        db.execute("delete from dead_parcels where id = ?1 and at = coalesce(?2, at)", (id_, at))
        dropped = db.changes() > 0
        if dropped:
            db.execute("delete from trials where id = ?1", (id_,))
        return dropped


class _TriedAll(Operation):
    """Items: (id, by, now). Answers by how many each was counted before. Whoever was counted last is counted once."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, str, int]]) -> list[int]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, id_: str, by: str, now: int) -> int:
        sql = (
            "insert into trials (id, count, by, at) values (?1, 1, ?2, ?3)"
            " on conflict (id) do update set count = count + (by <> excluded.by), by = excluded.by, at = excluded.at"
            " returning count - 1"
        )
        count: int = db.execute(sql, (id_, by, now)).get
        return count


class _ClearedAll(Operation):
    """Items: ids."""

    def apply(self, db: apsw.Connection, items: list[str]) -> list[None]:
        for id_ in items:
            db.execute("delete from trials where id = ?1", (id_,))
        return [None] * len(items)
