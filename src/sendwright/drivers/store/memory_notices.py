"""What the operator is told of the providers, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore, Tables
from sendwright.model.notices import OPERATOR, About, Credential, Notice, Stand
from sendwright.policy.notices import of_breaker


class MemoryNotices:
    """ports.Stands and ports.Credentials."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def stand(self, about: About, stand: Stand, at: int, reason: str | None) -> bool:
        async with self._store.transaction("stand") as t:
            before = t.stands.get(about.provider) or Stand()
            if before == stand:
                return False
            t.stands.put(about.provider, stand)
            tell(t, of_breaker(about, before, stand, at, reason))
            return True

    async def known(self) -> Mapping[str, Credential]:
        return dict(self._store.tables.credentials.rows)

    async def put(self, credential: Credential, notices: Sequence[Notice] = ()) -> bool:
        async with self._store.transaction("put") as t:
            before = t.credentials.get(credential.provider)
            if (0 if before is None else before.version) != credential.version:
                return False
            t.credentials.put(credential.provider, replace(credential, version=credential.version + 1))
            tell(t, notices)
            return True


def tell(t: Tables, notices: Sequence[Notice]) -> None:
    """Makes them events."""
    for notice in notices:
        t.events.append(notice.at, OPERATOR, notice.type, (notice.id, None), notice.told)
