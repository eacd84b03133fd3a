"""Types in memory. A row is (at, body); one without a body keeps the number of a type that was deleted."""

from __future__ import annotations

from sendwright.drivers.store.memory_tables import MemoryStore, Tables
from sendwright.drivers.store.type_rows import text_of, version_from
from sendwright.model.records import Listed
from sendwright.model.types import TypeBody, TypeVersion


class MemoryTypes:
    """ports.Types."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def put(self, tenant: str, name: str, body: TypeBody, now: int) -> TypeVersion:
        async with self._store.transaction("put_type") as t:
            newest, text = _newest(t, tenant, name), text_of(body)
            at, stored = t.types.rows[tenant, name, newest] if newest else (0, None)
            if stored == text:
                return version_from(name, newest, at, text)
            t.types.put((tenant, name, newest + 1), (now, text))
            return version_from(name, newest + 1, now, text)

    async def get(self, tenant: str, name: str, version: int | None = None) -> TypeVersion | None:
        tables = self._store.tables
        number = _newest(tables, tenant, name) if version is None else version
        at, body = tables.types.rows.get((tenant, name, number), (0, None))
        return None if body is None else version_from(name, number, at, body)

    async def list(self, tenant: str, limit: int, after: str | None = None) -> Listed[TypeVersion]:
        names = sorted({name for owner, name, _ in self._store.tables.types.rows if owner == tenant and name > (after or "")})
        found = [one for name in names if (one := await self.get(tenant, name)) is not None]
        return Listed(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

    async def delete(self, tenant: str, name: str) -> bool:
        async with self._store.transaction("delete_type") as t:
            newest = _newest(t, tenant, name)
            at, body = t.types.rows[tenant, name, newest] if newest else (0, None)
            if body is None:
                return False
            for number in range(1, newest):
                t.types.drop((tenant, name, number))
            t.types.put((tenant, name, newest), (at, None))
            return True


def _newest(tables: Tables, tenant: str, name: str) -> int:
    """The number of the newest version; 0 for none."""
    return max((number for owner, known, number in tables.types.rows if (owner, known) == (tenant, name)), default=0)
