"""Bodies that are too large to travel, in PostgreSQL under random keys: what the SQS bus claims them by."""

from __future__ import annotations

import secrets

from sendwright.drivers.store.postgres.connections import Connections, Db

_KEEP = """insert into checkroom (key, body, at) values ($1, $2, (extract(epoch from clock_timestamp()) * 1000)::bigint)
  on conflict do nothing"""


class PostgresCheckroom:
    """drivers.bus.sqs.checkroom.Checkroom."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, body: bytes) -> str:
        key = secrets.token_urlsafe(24)

        async def kept(db: Db) -> None:
            await db.execute(_KEEP, key, body)

        await self._connections.writing(kept)
        return key

    async def fetch(self, key: str) -> bytes | None:
        rows = await self._connections.query("select body from checkroom where key = $1", key)
        return bytes(rows[0][0]) if rows else None

    async def drop(self, key: str) -> None:
        await self._connections.writing(lambda db: db.execute("delete from checkroom where key = $1", key))
