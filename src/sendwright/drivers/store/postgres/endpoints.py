"""The operator's own services and what is on its way to them, over PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sendwright.drivers.store.endpoint_rows import endpoint_from, endpoint_row, posting_from, posting_row, saved_row, tried_row
from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.rows import columns
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.model.endpoint import Endpoint, Place, Posting, Tried
from sendwright.policy.posting import judged

_POSTING_WIDTH = len(Posting.__struct_fields__)


class PostgresEndpoints:
    """ports.Endpoints."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add(self, endpoint: Endpoint) -> bool:
        return bool(await self._connections.statement("add", "endpoint_add", *endpoint_row(endpoint)))

    async def find(self, tenant: str, id_: str) -> Endpoint | None:
        for row in await self._connections.read("endpoint_found", tenant, id_):
            return endpoint_from(row)
        return None

    async def page(self, tenant: str, limit: int, after: Place | None = None) -> Sequence[Endpoint]:
        rows = await self._connections.read("endpoints_page", tenant, *(after or (None, None)), limit)
        return [endpoint_from(row) for row in rows]

    async def save(self, endpoint: Endpoint) -> bool:
        return bool(await self._connections.statement("save", "endpoint_save", *saved_row(endpoint)))

    async def remove(self, tenant: str, id_: str) -> bool:
        return bool(await self._connections.statement("remove", "endpoint_remove", tenant, id_))

    async def purge(self, endpoint: str, limit: int) -> int:
        return len(await self._connections.statement("purge", "postings_purge", endpoint, limit))

    async def figures(self, most: int) -> tuple[int, Mapping[str, int]]:
        async def both(db: Db) -> tuple[int, dict[str, int]]:
            waiting: int = await db.fetchval(SQL["postings_count"], most)
            return waiting, dict(map(tuple, await db.fetch(SQL["endpoints_disabled"])))

        return await self._connections.reading(both)

    async def live(self) -> Sequence[Endpoint]:
        return [endpoint_from(row) for row in await self._connections.read("endpoints_live")]

    async def spread(self, endpoint: Endpoint, upto: int, postings: Sequence[Posting]) -> bool:
        rows = [posting_row(posting) for posting in postings]

        async def work(db: Db) -> bool:
            if not await db.fetch(SQL["endpoint_seen"], endpoint.id, endpoint.seen, endpoint.version, upto):
                return False
            if rows:
                await db.execute(SQL["postings_add"], *columns(rows, _POSTING_WIDTH))
            return True

        return await self._connections.transaction("spread", work)

    async def waiting(self, endpoints: Collection[str], now: int) -> Sequence[str]:
        return [row[0] for row in await self._connections.read("postings_waiting", list(endpoints), now)]

    async def take(self, shares: Mapping[str, int], now: int, until: int) -> Sequence[Posting]:
        rows = await self._connections.statement("take", "postings_take", list(shares), list(shares.values()), now, until)
        return sorted((posting_from(row) for row in rows), key=lambda posting: (posting.endpoint, posting.seq))

    async def tried(self, tried: Tried) -> Endpoint | None:
        posting = tried.posting

        async def work(db: Db) -> Endpoint | None:
            endpoints = await db.fetch(SQL["endpoint_any"], posting.endpoint)
            if not endpoints or not await db.fetch(SQL["posting_tried"], *tried_row(posting)):
                return None
            before = endpoint_from(tuple(endpoints[0]))
            after = judged(before, tried.at, ok=tried.ok, gone=tried.gone)
            if after != before:
                verdict = (after.failing_since, after.failed_at, after.disabled_for, after.version)
                await db.execute(SQL["endpoint_judged"], after.id, *verdict)
            return after

        return await self._connections.transaction("tried", work)

    async def postings(self, endpoint: str, state: str | None, limit: int, before: int | None = None) -> Sequence[Posting]:
        return [posting_from(row) for row in await self._connections.read("postings_page", endpoint, state, before, limit)]

    async def replay(self, endpoint: str, ids: Collection[str] | None, now: int, limit: int) -> Sequence[str]:
        wanted, most = (None, limit) if ids is None else (list(ids), len(ids))
        rows = await self._connections.statement("replay", "postings_replay", endpoint, wanted, now, most)
        return [row[0] for row in rows]

    async def forget(self, before: int, limit: int) -> int:
        return len(await self._connections.statement("forget", "postings_forget", before, limit))
