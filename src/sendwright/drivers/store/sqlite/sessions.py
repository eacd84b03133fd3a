"""Who is signed in, over SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer
from sendwright.model.sessions import Session


class SqliteSessions:
    """web.api.services.Sessions."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._run = _Run()

    async def add(self, session: Session) -> None:
        s = session
        row = (s.id, s.kind, s.tenant, s.sealed.hex(), s.way, s.made_at, s.seen_at, s.until)
        await self._written(("sessions_over", (s.made_at,)), ("session_add", row))

    async def find(self, id_: str) -> Session | None:
        rows = await self._reader.run(lambda db: db.execute(SQL["session_of"], (id_,)).fetchall())
        return _session(rows[0]) if rows else None

    async def seen(self, id_: str, at: int) -> None:
        await self._written(("session_seen", (id_, at)))

    async def take(self, id_: str) -> Session | None:
        rows = await self._written(("session_take", (id_,)))
        return _session(rows[0]) if rows else None

    async def all_of(self, tenant: str) -> Sequence[Session]:
        return [_session(row) for row in await self._reader.run(lambda db: db.execute(SQL["sessions_all"], (tenant,)).fetchall())]

    async def end(self, tenant: str, id_: str | None = None) -> int:
        return len(await self._written(("sessions_end", (tenant, id_))))

    async def _written(self, *statements: tuple[str, tuple[Any, ...]]) -> list[Any]:
        """The rows of the last of these statements."""
        rows: list[Any] = await self._writer.submit(self._run, statements, soon=True)
        return rows


def _session(row: Sequence[Any]) -> Session:
    id_, kind, tenant, sealed, way, made_at, seen_at, until = row
    return Session(id_, kind, tenant, bytes.fromhex(sealed), way, made_at, seen_at, until)


class _Run(Operation):
    """Items: named statements with their arguments. People sign in so seldom that each is run by itself."""

    def apply(self, db: apsw.Connection, items: list[Any]) -> list[list[Any]]:
        return [[db.execute(SQL[name], args).fetchall() for name, args in statements][-1] for statements in items]
