"""Types over PostgreSQL. Who changes one holds its name until the commit, so that no number is given twice."""

from __future__ import annotations

from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.drivers.store.type_rows import text_of, version_from
from sendwright.model.records import Listed
from sendwright.model.types import TypeBody, TypeVersion


class PostgresTypes:
    """ports.Types."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def put(self, tenant: str, name: str, body: TypeBody, now: int) -> TypeVersion:
        text = text_of(body)
        version, at = await self._connections.transaction("put_type", lambda db: _put(db, tenant, name, text, now))
        return version_from(name, version, at, text)

    async def get(self, tenant: str, name: str, version: int | None = None) -> TypeVersion | None:
        args = (tenant, name) if version is None else (tenant, name, version)
        rows = await self._connections.read("type_newest" if version is None else "type_version", *args)
        return version_from(name, *rows[0]) if rows and rows[0][2] is not None else None

    async def list(self, tenant: str, limit: int, after: str | None = None) -> Listed[TypeVersion]:
        rows = await self._connections.read("types_listed", tenant, after or "", limit + 1)
        found = [version_from(*row) for row in rows]
        return Listed(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

    async def delete(self, tenant: str, name: str) -> bool:
        return await self._connections.transaction("delete_type", lambda db: _delete(db, tenant, name))


async def _put(db: Db, tenant: str, name: str, text: str, now: int) -> tuple[int, int]:
    newest, at, stored = await _newest(db, tenant, name)
    if stored == text:
        return newest, at
    await db.execute(SQL["type_insert"], tenant, name, newest + 1, now, text)
    return newest + 1, now


async def _delete(db: Db, tenant: str, name: str) -> bool:
    newest, _, stored = await _newest(db, tenant, name)
    if stored is None:
        return False
    await db.execute(SQL["type_forget"], tenant, name, newest)
    await db.execute(SQL["type_end"], tenant, name, newest)
    return True


async def _newest(db: Db, tenant: str, name: str) -> tuple[int, int, str | None]:
    """Its newest version, held: (version, at, body), version 0 for none."""
    await db.execute(SQL["type_lock"], f"sendwright type {tenant} {name}")
    rows = await db.fetch(SQL["type_newest"], tenant, name)
    return tuple(rows[0]) if rows else (0, 0, None)
