"""Who works, over PostgreSQL: a row for each incarnation, by the server's clock."""

from __future__ import annotations

from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.model.parcel import VERSION

_BEAT = """insert into workers (process, beaten_at, reads) values ($1, clock_timestamp(), $2)
  on conflict (process) do update set beaten_at = excluded.beaten_at"""
_LIVING = "select process from workers where beaten_at > clock_timestamp() - make_interval(secs => $1)"
_READERS = "select coalesce(min(reads), 1) from workers where beaten_at > clock_timestamp() - make_interval(secs => $1)"
_FORGET = "delete from workers where beaten_at < clock_timestamp() - interval '1 day'"
_LEAVE = "delete from workers where process = $1"
_SILENCE = "delete from standings s where not exists (select from workers w where w.process = s.process)"


class PostgresRegistry:
    """ports.Registry."""

    def __init__(self, connections: Connections, reads: int = VERSION) -> None:
        """`reads` is the newest version of parcels that this process reads."""
        self._connections = connections
        self._reads = reads

    async def beat(self, process: str, lease_s: float) -> frozenset[str]:
        async def beaten(db: Db) -> frozenset[str]:
            await db.execute(_BEAT, process, self._reads)
            if await db.execute(_FORGET) != "DELETE 0":
                await db.execute(_SILENCE)
            return frozenset(row[0] for row in await db.fetch(_LIVING, lease_s))

        return await self._connections.writing(beaten)

    async def readers(self, lease_s: float) -> int:
        rows = await self._connections.query(_READERS, lease_s)
        return int(rows[0][0])

    async def leave(self, process: str) -> None:
        async def left(db: Db) -> None:
            await db.execute(_LEAVE, process)
            await db.execute(_SILENCE)

        await self._connections.writing(left)
