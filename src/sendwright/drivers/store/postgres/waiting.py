"""The waiting table over PostgreSQL, for many schedulers at once.

Whoever reads what is due or parked leases it for a few seconds, in a transaction of its own that is over before anything is
published. Others pass by what is leased or locked. A scheduler that dies leaves its leases to run out; one that is slow may
publish what another has published too, and the second parcel is refused by its message's row.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Mapping, Sequence

from sendwright.drivers.store.postgres.batcher import Batcher
from sendwright.drivers.store.postgres.connections import Connections, Db, first
from sendwright.drivers.store.postgres.rows import columns, parcel_from
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel

LEASE = dt.timedelta(seconds=5)


class PostgresWaiting:
    """ports.Waiting. `process` names this incarnation: it is shown its own leases again."""

    def __init__(self, connections: Connections, process: str) -> None:
        self._connections = connections
        self._process = process
        self._promoted: Batcher[tuple[Sequence[Parcel], int], None] = Batcher(
            self._promote, weight=lambda item: len(item[0]), repeatable=True
        )
        self._due: Batcher[tuple[int, int], list[Parcel]] = Batcher(self._lease_due)
        self._pull: Batcher[tuple[str, Priority, Mapping[str, int]], list[Parcel]] = Batcher(self._lease_parked)
        self._rebase: Batcher[tuple[int, int], None] = Batcher(self._rebased)

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in (self._promoted, self._due, self._pull, self._rebase)))

    def due(self, now: int, limit: int) -> Awaitable[Sequence[Parcel]]:
        return self._due.submit((now, limit))

    async def tenants(self, key: str, priority: Priority, first: str, most: int) -> dict[str, int]:
        rows = await self._connections.read("waits_tenants", key, self._process, first, most, priority)
        return {tenant: count for tenant, count in rows}  # noqa: C416 — rows are no pairs to `dict`

    def pull(self, key: str, priority: Priority, shares: Mapping[str, int]) -> Awaitable[Sequence[Parcel]]:
        return self._pull.submit((key, priority, shares))

    def promoted(self, parcels: Sequence[Parcel], now: int) -> Awaitable[None]:
        return self._promoted.submit((parcels, now))

    async def parked(self) -> dict[tuple[str, Priority], int]:
        return {(key, Priority(priority)): count for key, priority, count in await self._connections.read("waits_keys")}

    def rebase(self, now: int, ahead: int) -> Awaitable[None]:
        return self._rebase.submit((now, now + ahead))

    async def next_due(self) -> int | None:
        earliest: int | None = first(await self._connections.read("waits_next", self._process))
        return earliest

    async def _lease_due(self, items: list[tuple[int, int]]) -> list[list[Parcel]]:
        found = []
        for now, limit in items:
            rows = await self._connections.statement("due", "waits_due", now, self._process, limit, LEASE)
            found.append([parcel_from(row) for row in rows])
        return found

    async def _lease_parked(self, items: list[tuple[str, Priority, Mapping[str, int]]]) -> list[list[Parcel]]:
        found = []
        for key, priority, shares in items:
            asked = (list(shares), list(shares.values()))
            rows = await self._connections.statement("pull", "waits_pull", key, self._process, *asked, LEASE, priority)
            found.append([parcel_from(row) for row in rows])
        return found

    async def _promote(self, items: list[tuple[Sequence[Parcel], int]]) -> list[None]:
        rows = sorted({(parcel.id, parcel.wait) for parcels, _ in items for parcel in parcels})
        if not rows:
            return [None] * len(items)
        messages, serials = columns(rows, 2)

        async def work(db: Db) -> None:
            await db.execute(SQL["lock_scheduled"], messages)
            await db.execute(SQL["waits_promoted"], messages, serials, max(now for _, now in items))

        await self._connections.transaction("promoted", work)
        return [None] * len(items)

    async def _rebased(self, items: list[tuple[int, int]]) -> list[None]:
        for now, earliest in items:

            async def work(db: Db, now: int = now, earliest: int = earliest) -> None:
                messages = [row[0] for row in await db.fetch(SQL["rebase_lock"], now, earliest)]
                if messages:
                    await db.execute(SQL["rebase_waits"], now, earliest, messages)
                    await db.execute(SQL["rebase_messages"], now, earliest, messages)

            await self._connections.transaction("rebase", work)
        return [None] * len(items)
