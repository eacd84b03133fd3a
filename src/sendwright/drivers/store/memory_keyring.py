"""API keys, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore
from sendwright.model.api_key import ApiKey, Place


class MemoryKeyRing:
    """ports.KeyRing."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(self, key: ApiKey) -> bool:
        async with self._store.transaction("add") as t:
            if t.api_keys.get(key.id) is not None:
                return False
            t.api_keys.put(key.id, key)
            return True

    async def find(self, ids: Collection[str]) -> Sequence[ApiKey]:
        rows = self._store.tables.api_keys.rows
        return [rows[id_] for id_ in ids if id_ in rows]

    async def page(self, tenant: str | None, limit: int, after: Place | None = None) -> Sequence[ApiKey]:
        rows = (key for key in self._store.tables.api_keys.rows.values() if tenant is None or key.tenant == tenant)
        found = (key for key in rows if after is None or (key.created_at, key.id) < after)
        return sorted(found, key=lambda key: (key.created_at, key.id), reverse=True)[:limit]

    async def revoke(self, tenant: str | None, id_: str) -> bool:
        async with self._store.transaction("revoke") as t:
            key = t.api_keys.get(id_)
            if key is None or tenant not in (None, key.tenant):
                return False
            t.api_keys.drop(id_)
            return True

    async def used(self, at: Mapping[str, int]) -> None:
        async with self._store.transaction("used") as t:
            for id_, when in at.items():
                key = t.api_keys.get(id_)
                if key is not None:
                    t.api_keys.put(id_, replace(key, used_at=max(key.used_at or 0, when)))
