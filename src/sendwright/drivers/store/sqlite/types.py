"""Types over SQLite."""

from __future__ import annotations

import apsw
from msgspec import Struct

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer
from sendwright.drivers.store.type_rows import text_of, version_from
from sendwright.model.records import Listed
from sendwright.model.types import TypeBody, TypeVersion


class _Put(Struct, frozen=True):
    """What is to be said of a type; without a body, that it is no more."""

    tenant: str
    name: str
    body: str | None
    now: int = 0


class SqliteTypes:
    """ports.Types."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._change = _Change()

    async def put(self, tenant: str, name: str, body: TypeBody, now: int) -> TypeVersion:
        text = text_of(body)
        version, at = await self._writer.submit(self._change, _Put(tenant, name, text, now), urgent=True)
        return version_from(name, version, at, text)

    async def get(self, tenant: str, name: str, version: int | None = None) -> TypeVersion | None:
        sql = "type_newest" if version is None else "type_version"
        rows = await self._reader.run(
            lambda db: db.execute(SQL[sql], (tenant, name) if version is None else (tenant, name, version)).fetchall()
        )
        return None if not rows or rows[0][2] is None else version_from(name, *rows[0])  # type: ignore[arg-type]

    async def list(self, tenant: str, limit: int, after: str | None = None) -> Listed[TypeVersion]:
        rows = await self._reader.run(lambda db: db.execute(SQL["types_listed"], (tenant, after or "", limit + 1)).fetchall())
        found = [version_from(*row) for row in rows]  # type: ignore[arg-type]
        return Listed(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

    async def delete(self, tenant: str, name: str) -> bool:
        version, _ = await self._writer.submit(self._change, _Put(tenant, name, None), urgent=True)
        return bool(version)


class _Change(Operation):
    """Items: what is put. Answers (version, at) of what is stored then; (0, 0) where there was nothing to delete."""

    def apply(self, db: apsw.Connection, items: list[_Put]) -> list[tuple[int, int]]:
        return [_changed(db, item) for item in items]


def _changed(db: apsw.Connection, put: _Put) -> tuple[int, int]:
    rows = db.execute(SQL["type_newest"], (put.tenant, put.name)).fetchall()
    newest, at, stored = rows[0] if rows else (0, 0, None)
    if put.body == stored:
        return (newest, at) if stored is not None else (0, 0)  # type: ignore[return-value]
    if put.body is None:
        db.execute(SQL["type_forget"], (put.tenant, put.name, newest))
        db.execute(SQL["type_end"], (put.tenant, put.name, newest))
        return newest, at  # type: ignore[return-value]
    following = int(newest) + 1  # type: ignore[arg-type]
    db.execute(SQL["type_insert"], (put.tenant, put.name, following, put.now, put.body))
    return following, put.now
