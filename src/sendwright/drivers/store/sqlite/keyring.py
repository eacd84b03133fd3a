"""API keys, over SQLite."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any

import apsw
from msgspec.structs import astuple

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, rows_of
from sendwright.model.api_key import ApiKey, Place


class SqliteKeyRing:
    """ports.KeyRing."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._add = _AddAll()
        self._revoke = _RevokeAll()
        self._used = _UsedAll()

    def add(self, key: ApiKey) -> Awaitable[bool]:
        return self._writer.submit(self._add, key, soon=True)

    def find(self, ids: Collection[str]) -> Awaitable[Sequence[ApiKey]]:
        wanted = rows_of(list(ids))
        return self._reader.run(lambda db: _keys(db.execute(SQL["api_keys_found"], (wanted,))))

    def page(self, tenant: str | None, limit: int, after: Place | None = None) -> Awaitable[Sequence[ApiKey]]:
        at, id_ = after or (None, None)
        return self._reader.run(lambda db: _keys(db.execute(SQL["api_keys_page"], (tenant, at, id_, limit))))

    def revoke(self, tenant: str | None, id_: str) -> Awaitable[bool]:
        return self._writer.submit(self._revoke, (tenant, id_), soon=True)

    def used(self, at: Mapping[str, int]) -> Awaitable[None]:
        return self._writer.submit(self._used, at)


def _keys(rows: Any) -> list[ApiKey]:
    return [ApiKey(id_, tenant, name, tuple(scopes.split()), digest, *times) for id_, tenant, name, scopes, digest, *times in rows]


class _AddAll(Operation):
    """Items: keys."""

    def apply(self, db: apsw.Connection, items: list[ApiKey]) -> list[bool]:
        added = []
        for key in items:
            id_, tenant, name, scopes, *rest = astuple(key)
            db.execute(SQL["api_key_add"], (id_, tenant, name, " ".join(scopes), *rest))
            added.append(db.changes() > 0)
        return added


class _RevokeAll(Operation):
    """Items: (tenant, or None for any; id)."""

    def apply(self, db: apsw.Connection, items: list[tuple[str | None, str]]) -> list[bool]:
        gone = []
        for item in items:
            db.execute(SQL["api_key_revoke"], item)
            gone.append(db.changes() > 0)
        return gone


class _UsedAll(Operation):
    """Items: by id when keys were used, in ms."""

    def apply(self, db: apsw.Connection, items: list[Mapping[str, int]]) -> list[None]:
        rows = [row for item in items for row in item.items()]
        db.execute(SQL["api_keys_used"], (rows_of(rows),))
        return [None] * len(items)
