"""Who is signed in, over PostgreSQL: every process that shares the store knows it at once."""

from __future__ import annotations

from collections.abc import Sequence

from sendwright.drivers.store.postgres.connections import Connections
from sendwright.model.sessions import Session


class PostgresSessions:
    """web.api.services.Sessions. People sign in so seldom that each statement goes by itself."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add(self, session: Session) -> None:
        s = session
        row = (s.id, s.kind, s.tenant, s.sealed, s.way, s.made_at, s.seen_at, s.until)
        await self._connections.statement("add", "session_add", *row)

    async def find(self, id_: str) -> Session | None:
        rows = await self._connections.read("session_of", id_)
        return Session(*rows[0]) if rows else None

    async def seen(self, id_: str, at: int) -> None:
        await self._connections.statement("seen", "session_seen", id_, at)

    async def take(self, id_: str) -> Session | None:
        rows = await self._connections.statement("take", "session_take", id_)
        return Session(*rows[0]) if rows else None

    async def all_of(self, tenant: str) -> Sequence[Session]:
        return [Session(*row) for row in await self._connections.read("sessions_all", tenant)]

    async def end(self, tenant: str, id_: str | None = None) -> int:
        return len(await self._connections.statement("end", "sessions_end", tenant, id_))
