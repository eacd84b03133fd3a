"""Types and layouts over SQLite."""

from __future__ import annotations

from typing import Generic, TypeVar

import apsw
from msgspec import Struct

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer
from sendwright.drivers.store.type_rows import LAYOUTS, TYPES, Kind, text_of
from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.records import Listed
from sendwright.model.types import TypeBody, TypeVersion

B = TypeVar("B", bound=Struct)
V = TypeVar("V", TypeVersion, LayoutVersion)


class _Put(Struct, frozen=True):
    """What is to be said of a name; without a body, that it is no more."""

    tenant: str
    name: str
    body: str | None
    now: int = 0


class _Versions(Generic[B, V]):
    """ports.Versioned."""

    kind: Kind[V]

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._change = _Change(self.kind.word)

    async def put(self, tenant: str, name: str, body: B, now: int) -> V:
        text = text_of(body)
        version, at = await self._writer.submit(self._change, _Put(tenant, name, text, now), soon=True)
        return self.kind.version_from(name, version, at, text)

    async def get(self, tenant: str, name: str, version: int | None = None) -> V | None:
        sql = f"{self.kind.word}_newest" if version is None else f"{self.kind.word}_version"
        rows = await self._reader.run(
            lambda db: db.execute(SQL[sql], (tenant, name) if version is None else (tenant, name, version)).fetchall()
        )
        return None if not rows or rows[0][2] is None else self.kind.version_from(name, *rows[0])  # type: ignore[arg-type]

    async def list(self, tenant: str, limit: int, after: str | None = None) -> Listed[V]:
        sql = f"{self.kind.word}s_listed"
        rows = await self._reader.run(lambda db: db.execute(SQL[sql], (tenant, after or "", limit + 1)).fetchall())
        found = [self.kind.version_from(*row) for row in rows]  # type: ignore[arg-type]
        return Listed(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

    async def delete(self, tenant: str, name: str) -> bool:
        version, _ = await self._writer.submit(self._change, _Put(tenant, name, None), soon=True)
        return bool(version)


class SqliteTypes(_Versions[TypeBody, TypeVersion]):
    """ports.Types."""

    kind = TYPES


class SqliteLayouts(_Versions[LayoutBody, LayoutVersion]):
    """ports.Layouts."""

    kind = LAYOUTS


class _Change(Operation):
    """Items: what is put. Answers (version, at) of what is stored then; (0, 0) where there was nothing to delete."""

    def __init__(self, word: str) -> None:
        self._word = word

    def apply(self, db: apsw.Connection, items: list[_Put]) -> list[tuple[int, int]]:
        return [_changed(db, self._word, item) for item in items]


def _changed(db: apsw.Connection, word: str, put: _Put) -> tuple[int, int]:
    rows = db.execute(SQL[f"{word}_newest"], (put.tenant, put.name)).fetchall()
    newest, at, stored = rows[0] if rows else (0, 0, None)
    if put.body == stored:
        return (newest, at) if stored is not None else (0, 0)  # type: ignore[return-value]
    if put.body is None:
        db.execute(SQL[f"{word}_forget"], (put.tenant, put.name, newest))
        db.execute(SQL[f"{word}_end"], (put.tenant, put.name, newest))
        return newest, at  # type: ignore[return-value]
    following = int(newest) + 1  # type: ignore[arg-type]
    db.execute(SQL[f"{word}_insert"], (put.tenant, put.name, following, put.now, put.body))
    return following, put.now
