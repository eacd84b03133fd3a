"""Types and layouts in memory. A row is (at, body); one without a body keeps the number of what was deleted."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from sendwright.drivers.store.memory_tables import MemoryStore, Table, Tables
from sendwright.drivers.store.type_rows import LAYOUTS, TYPES, Kind, text_of
from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.records import Listed
from sendwright.model.types import TypeBody, TypeVersion

B = TypeVar("B", bound=Struct)
V = TypeVar("V", TypeVersion, LayoutVersion)

Rows = Table[tuple[str, str, int], tuple[int, str | None]]


class _Versions(Generic[B, V]):
    """ports.Versioned."""

    kind: Kind[V]

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def _table(self, tables: Tables) -> Rows:
        return tables.types if self.kind.word == "type" else tables.layouts

    async def put(self, tenant: str, name: str, body: B, now: int) -> V:
        async with self._store.transaction(f"put_{self.kind.word}") as t:
            table = self._table(t)
            newest, text = _newest(table, tenant, name), text_of(body)
            at, stored = table.rows[tenant, name, newest] if newest else (0, None)
            if stored == text:
                return self.kind.version_from(name, newest, at, text)
            table.put((tenant, name, newest + 1), (now, text))
            return self.kind.version_from(name, newest + 1, now, text)

    async def get(self, tenant: str, name: str, version: int | None = None) -> V | None:
        table = self._table(self._store.tables)
        number = _newest(table, tenant, name) if version is None else version
        at, body = table.rows.get((tenant, name, number), (0, None))
        return None if body is None else self.kind.version_from(name, number, at, body)

    async def list(self, tenant: str, limit: int, after: str | None = None) -> Listed[V]:
        rows = self._table(self._store.tables).rows
        names = sorted({name for owner, name, _ in rows if owner == tenant and name > (after or "")})
        found = [one for name in names if (one := await self.get(tenant, name)) is not None]
        return Listed(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

    async def delete(self, tenant: str, name: str) -> bool:
        async with self._store.transaction(f"delete_{self.kind.word}") as t:
            table = self._table(t)
            newest = _newest(table, tenant, name)
            at, body = table.rows[tenant, name, newest] if newest else (0, None)
            if body is None:
                return False
            for number in range(1, newest):
                table.drop((tenant, name, number))
            table.put((tenant, name, newest), (at, None))
            return True


class MemoryTypes(_Versions[TypeBody, TypeVersion]):
    """ports.Types."""

    kind = TYPES


class MemoryLayouts(_Versions[LayoutBody, LayoutVersion]):
    """ports.Layouts."""

    kind = LAYOUTS


def _newest(table: Rows, tenant: str, name: str) -> int:
    """The number of the newest version; 0 for none."""
    return max((number for owner, known, number in table.rows if (owner, known) == (tenant, name)), default=0)
