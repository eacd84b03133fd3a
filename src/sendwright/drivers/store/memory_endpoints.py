"""The operator's own services and what is on its way to them, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore
from sendwright.model.endpoint import DELIVERED, FAILED, PENDING, Endpoint, Place, Posting, Tried
from sendwright.policy.posting import judged


class MemoryEndpoints:
    """ports.Endpoints."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(self, endpoint: Endpoint) -> bool:
        async with self._store.transaction("add") as t:
            if t.endpoints.get(endpoint.id) is not None:
                return False
            t.endpoints.put(endpoint.id, endpoint)
            return True

    async def find(self, tenant: str, id_: str) -> Endpoint | None:
        found = self._store.tables.endpoints.rows.get(id_)
        return found if found is not None and found.tenant == tenant else None

    async def page(self, tenant: str, limit: int, after: Place | None = None) -> Sequence[Endpoint]:
        rows = (each for each in self._store.tables.endpoints.rows.values() if each.tenant == tenant)
        found = (each for each in rows if after is None or (each.created_at, each.id) < after)
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)[:limit]

    async def save(self, endpoint: Endpoint) -> bool:
        async with self._store.transaction("save") as t:
            before = t.endpoints.get(endpoint.id)
            if before is None or before.version != endpoint.version - 1:
                return False
            t.endpoints.put(endpoint.id, replace(endpoint, seen=before.seen))
            return True

    async def remove(self, tenant: str, id_: str) -> bool:
        async with self._store.transaction("remove") as t:
            found = t.endpoints.get(id_)
            if found is None or found.tenant != tenant:
                return False
            t.endpoints.drop(id_)
            return True

    async def purge(self, endpoint: str, limit: int) -> int:
        async with self._store.transaction("purge") as t:
            gone = [each.id for each in self._of(endpoint)][:limit]
            for id_ in gone:
                t.postings.drop(id_)
        return len(gone)

    async def figures(self, most: int) -> tuple[int, Mapping[str, int]]:
        tables = self._store.tables
        waiting = sum(each.due_at is not None for each in tables.postings.rows.values())
        return min(waiting, most), Counter(each.disabled_for for each in tables.endpoints.rows.values() if each.disabled_for)

    async def live(self) -> Sequence[Endpoint]:
        return [each for each in self._store.tables.endpoints.rows.values() if each.disabled_for is None]

    async def spread(self, endpoint: Endpoint, upto: int, postings: Sequence[Posting]) -> bool:
        async with self._store.transaction("spread") as t:
            found = t.endpoints.get(endpoint.id)
            if found is None or (found.seen, found.version) != (endpoint.seen, endpoint.version):
                return False
            t.endpoints.put(found.id, replace(found, seen=upto))
            for posting in postings:
                if t.postings.get(posting.id) is None:
                    t.postings.put(posting.id, posting)
            return True

    async def waiting(self, endpoints: Collection[str], now: int) -> Sequence[str]:
        return [id_ for id_ in endpoints if any(_due(each, now) for each in self._of(id_))]

    async def take(self, shares: Mapping[str, int], now: int, until: int) -> Sequence[Posting]:
        taken = []
        async with self._store.transaction("take") as t:
            for id_, most in shares.items():
                due = sorted((each for each in self._of(id_) if _due(each, now)), key=lambda each: (each.due_at, each.seq))
                for posting in due[:most]:
                    t.postings.put(posting.id, replace(posting, due_at=until))
                    taken.append(replace(posting, due_at=until))
        return taken

    async def tried(self, tried: Tried) -> Endpoint | None:
        async with self._store.transaction("tried") as t:
            before, endpoint = t.postings.get(tried.posting.id), t.endpoints.get(tried.posting.endpoint)
            if before is None or endpoint is None or before.count != tried.posting.count - 1:
                return None
            t.postings.put(before.id, tried.posting)
            after = judged(endpoint, tried.at, ok=tried.ok, gone=tried.gone)
            t.endpoints.put(after.id, after)
            return after

    async def postings(self, endpoint: str, state: str | None, limit: int, before: int | None = None) -> Sequence[Posting]:
        rows = [each for each in self._of(endpoint) if state in (None, each.state) and (before is None or each.seq < before)]
        return sorted(rows, key=lambda each: each.seq, reverse=True)[:limit]

    async def replay(self, endpoint: str, ids: Collection[str] | None, now: int, limit: int) -> Sequence[str]:
        async with self._store.transaction("replay") as t:
            rows = sorted(self._of(endpoint), key=lambda each: each.seq)
            if ids is None:
                over = [each for each in rows if each.state == FAILED][:limit]
            else:
                over = [each for each in rows if each.state in (DELIVERED, FAILED) and each.id in ids]
            for each in over:
                t.postings.put(each.id, replace(each, state=PENDING, due_at=now, began=each.count))
        return [each.id for each in over]

    async def forget(self, before: int, limit: int) -> int:
        async with self._store.transaction("forget") as t:
            old = [each.id for each in self._store.tables.postings.rows.values() if each.at < before][:limit]
            for id_ in old:
                t.postings.drop(id_)
        return len(old)

    def _of(self, endpoint: str) -> list[Posting]:
        return [each for each in self._store.tables.postings.rows.values() if each.endpoint == endpoint]


def _due(posting: Posting, now: int) -> bool:
    return posting.due_at is not None and posting.due_at <= now
