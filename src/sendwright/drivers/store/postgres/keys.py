"""Idempotency keys over PostgreSQL, and the counts of the accepting processes (see drivers/queue_desk.py)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

from sendwright.drivers.queue_desk import LOST_MS, Mine, Reservation, Theirs
from sendwright.drivers.store.postgres.batcher import Batcher
from sendwright.drivers.store.postgres.connections import Connections
from sendwright.drivers.store.postgres.rows import columns

_Named = tuple[str, str, str]
"""tenant, key, id."""


class PostgresKeys:
    """queue_desk.Keys. `keep_ms`: how old a key is that stands for nothing any more."""

    def __init__(
        self, connections: Connections, process: str, keep_ms: Callable[[], int], stale_s: float, lost_ms: int = LOST_MS
    ) -> None:
        self._connections = connections
        self._process = process
        self._keep_ms = keep_ms
        self._lost_ms = lost_ms
        self._stale = dt.timedelta(seconds=stale_s)
        self._reserve: Batcher[Reservation, Mine | Theirs | None] = Batcher(
            self._reserved, key=lambda asked: (asked.tenant, asked.key)
        )
        self._confirm: Batcher[_Named, None] = Batcher(self._confirmed, repeatable=True)

    async def close(self) -> None:
        await asyncio.gather(self._reserve.close(), self._confirm.close())

    def reserve(self, asked: Reservation) -> Awaitable[Mine | Theirs | None]:
        return self._reserve.submit(asked, urgent=asked.urgent)

    def confirm(self, tenant: str, key: str, id_: str) -> Awaitable[None]:
        return self._confirm.submit((tenant, key, id_))

    async def release(self, tenant: str, key: str, id_: str) -> None:
        await self._connections.statement("release", "keys_release", tenant, key, id_, self._process)

    async def look(self, tenant: str, key: str) -> Theirs | None:
        for row in await self._connections.read("keys_held", [tenant], [key], self._stale):
            return Theirs(*row[2:])
        return None

    async def count(self, process: str, accepted: int, now: int) -> None:
        await self._connections.statement("count", "process_counts", process, accepted, now, self._lost_ms)

    async def _reserved(self, items: list[Reservation]) -> list[Mine | Theirs | None]:
        asked = {(item.tenant, item.key): item for item in items}
        names = sorted(asked)
        rows = [(*name, asked[name].id, asked[name].fingerprint, asked[name].at) for name in names]
        fresh = await self._connections.statement("offer", "keys_reserve", *columns(rows, 5), self._process, self._keep_ms())
        held: dict[tuple[str, str], Mine | Theirs] = {(row[0], row[1]): Mine(asked[row[0], row[1]].id) for row in fresh}
        others = [name for name in names if name not in held]
        if others:
            same = [(*name, asked[name].fingerprint) for name in others]
            # Statements of their own: they see what was committed while the first one waited.
            for tenant, key, id_ in await self._connections.statement(
                "offer", "keys_take_over", *columns(same, 3), self._process, self._stale
            ):
                held[tenant, key] = Mine(id_, replayed=True)
            for tenant, key, *theirs in await self._connections.read("keys_held", *columns(others, 2), self._stale):
                held.setdefault((tenant, key), Theirs(*theirs))
        return [held.get((item.tenant, item.key)) for item in items]

    async def _confirmed(self, items: list[_Named]) -> list[None]:
        await self._connections.statement("confirm", "keys_confirm", *columns(sorted(set(items)), 3))
        return [None] * len(items)
