"""Types and layouts over PostgreSQL. Who changes one holds its name until the commit, so that no number is given twice."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.drivers.store.type_rows import LAYOUTS, TYPES, Kind, text_of
from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.records import Listed
from sendwright.model.types import TypeBody, TypeVersion

B = TypeVar("B", bound=Struct)
V = TypeVar("V", TypeVersion, LayoutVersion)


class _Versions(Generic[B, V]):
    """ports.Versioned."""

    kind: Kind[V]

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def put(self, tenant: str, name: str, body: B, now: int) -> V:
        word, text = self.kind.word, text_of(body)
        version, at = await self._connections.transaction(f"put_{word}", lambda db: _put(db, word, tenant, name, text, now))
        return self.kind.version_from(name, version, at, text)

    async def get(self, tenant: str, name: str, version: int | None = None) -> V | None:
        args = (tenant, name) if version is None else (tenant, name, version)
        rows = await self._connections.read(f"{self.kind.word}_newest" if version is None else f"{self.kind.word}_version", *args)
        return self.kind.version_from(name, *rows[0]) if rows and rows[0][2] is not None else None

    async def list(self, tenant: str, limit: int, after: str | None = None) -> Listed[V]:
        rows = await self._connections.read(f"{self.kind.word}s_listed", tenant, after or "", limit + 1)
        found = [self.kind.version_from(*row) for row in rows]
        return Listed(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

    async def delete(self, tenant: str, name: str) -> bool:
        word = self.kind.word
        return await self._connections.transaction(f"delete_{word}", lambda db: _delete(db, word, tenant, name))


class PostgresTypes(_Versions[TypeBody, TypeVersion]):
    """ports.Types."""

    kind = TYPES


class PostgresLayouts(_Versions[LayoutBody, LayoutVersion]):
    """ports.Layouts."""

    kind = LAYOUTS


async def _put(db: Db, word: str, tenant: str, name: str, text: str, now: int) -> tuple[int, int]:
    newest, at, stored = await _newest(db, word, tenant, name)
    if stored == text:
        return newest, at
    await db.execute(SQL[f"{word}_insert"], tenant, name, newest + 1, now, text)
    return newest + 1, now


async def _delete(db: Db, word: str, tenant: str, name: str) -> bool:
    newest, _, stored = await _newest(db, word, tenant, name)
    if stored is None:
        return False
    await db.execute(SQL[f"{word}_forget"], tenant, name, newest)
    await db.execute(SQL[f"{word}_end"], tenant, name, newest)
    return True


async def _newest(db: Db, word: str, tenant: str, name: str) -> tuple[int, int, str | None]:
    """Its newest version, held: (version, at, body), version 0 for none."""
    await db.execute(SQL["type_lock"], f"sendwright {word} {tenant} {name}")
    rows = await db.fetch(SQL[f"{word}_newest"], tenant, name)
    return tuple(rows[0]) if rows else (0, 0, None)
