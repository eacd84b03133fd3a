"""Who is signed in, over the store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore
from sendwright.model.sessions import Session


class MemorySessions:
    """web.api.services.Sessions."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(self, session: Session) -> None:
        async with self._store.transaction("add") as t:
            for id_, row in list(t.sessions.rows.items()):
                if row.until <= session.made_at:
                    t.sessions.drop(id_)
            t.sessions.put(session.id, session)

    async def find(self, id_: str) -> Session | None:
        return self._store.tables.sessions.rows.get(id_)

    async def seen(self, id_: str, at: int) -> None:
        async with self._store.transaction("seen") as t:
            row = t.sessions.get(id_)
            if row is not None:
                t.sessions.put(id_, replace(row, seen_at=max(row.seen_at, at)))

    async def take(self, id_: str) -> Session | None:
        async with self._store.transaction("take") as t:
            row = t.sessions.get(id_)
            t.sessions.drop(id_)
            return row

    async def all_of(self, tenant: str) -> Sequence[Session]:
        rows = [row for row in self._store.tables.sessions.rows.values() if row.tenant == tenant and row.kind == "session"]
        return sorted(rows, key=lambda row: (row.made_at, row.id), reverse=True)

    async def end(self, tenant: str, id_: str | None = None) -> int:
        async with self._store.transaction("end") as t:
            ended = [row.id for row in await self.all_of(tenant) if id_ in (None, row.id)]
            for each in ended:
                t.sessions.drop(each)
            return len(ended)
