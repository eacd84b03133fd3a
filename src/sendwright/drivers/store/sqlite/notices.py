"""What the operator is told of the providers, over SQLite. What is known of each is numbers, which lie in `meta` by its name."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

import apsw

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, rows_of
from sendwright.model.notices import OPERATOR, About, Credential, Notice, Stand
from sendwright.policy.notices import of_breaker

_NOT = -1
"""In the place of None."""


class SqliteNotices:
    """ports.Stands and ports.Credentials."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._stand = _StandAll()
        self._put = _PutAll()

    def stand(self, about: About, stand: Stand, at: int, reason: str | None) -> Awaitable[bool]:
        return self._writer.submit(self._stand, (about, stand, at, reason), soon=True)

    async def known(self) -> Mapping[str, Credential]:
        return await self._reader.run(_known)

    def put(self, credential: Credential, notices: Sequence[Notice] = ()) -> Awaitable[bool]:
        return self._writer.submit(self._put, (credential, notices))


class _StandAll(Operation):
    """Items: (about, stand, at, reason), in order."""

    def apply(self, db: apsw.Connection, items: list[tuple[About, Stand, int, str | None]]) -> list[bool]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, about: About, stand: Stand, at: int, reason: str | None) -> bool:
        name = f"breaker {about.provider}"
        code = db.execute("select value from meta where name = ?1", (name,)).get or 0
        before = Stand(bool(code & 1), bool(code & 2))
        if before == stand:
            return False
        db.execute(SQL["meta_set"], (rows_of([(name, stand.shut + 2 * stand.misconfigured)]),))
        _tell(db, of_breaker(about, before, stand, at, reason))
        return True


class _PutAll(Operation):
    """Items: (credential, notices), in order."""

    def apply(self, db: apsw.Connection, items: list[tuple[Credential, Sequence[Notice]]]) -> list[bool]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, c: Credential, notices: Sequence[Notice]) -> bool:
        before = _known(db).get(c.provider, Credential(c.provider))
        if before.version != c.version:
            return False
        values = {
            "version": c.version + 1,
            "ends": _NOT if c.ends_at is None else c.ends_at,
            "ask": c.ask_at,
            "told": _NOT if c.told is None else c.told,
        }
        db.execute(SQL["meta_set"], (rows_of([(f"credential {c.provider} {name}", value) for name, value in values.items()]),))
        _tell(db, notices)
        return True


def _known(db: apsw.Connection) -> dict[str, Credential]:
    rows: dict[str, dict[str, int]] = {}
    for name, value in db.execute(SQL["meta_credentials"]):
        _, provider, member = str(name).split(" ")
        rows.setdefault(provider, {})[member] = int(value)
    return {
        provider: Credential(provider, row["version"], _or_none(row["ends"]), row["ask"], _or_none(row["told"]))
        for provider, row in rows.items()
    }


def _or_none(value: int) -> int | None:
    return None if value == _NOT else value


def _tell(db: apsw.Connection, notices: Sequence[Notice]) -> None:
    rows = [(notice.at, OPERATOR, notice.type, notice.id, notice.told) for notice in notices]
    if rows:
        db.execute(SQL["insert_events"], (rows_of(rows),))
