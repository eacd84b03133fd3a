"""The operator's own services and what is on its way to them, over SQLite."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any

import apsw

from sendwright.drivers.store.endpoint_rows import endpoint_from, endpoint_row, posting_from, posting_row, saved_row, tried_row
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, rows_of
from sendwright.model.endpoint import Endpoint, Place, Posting, Tried
from sendwright.policy.posting import judged


class SqliteEndpoints:
    """ports.Endpoints."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._add, self._save, self._remove = _Add(), _Save(), _Remove()
        self._spread, self._take, self._tried = _Spread(), _Take(), _TriedAll()
        self._replay, self._purge, self._forget = _Replay(), _Purge(), _Forget()

    def add(self, endpoint: Endpoint) -> Awaitable[bool]:
        return self._writer.submit(self._add, endpoint)

    def find(self, tenant: str, id_: str) -> Awaitable[Endpoint | None]:
        return self._reader.run(lambda db: next(iter(_endpoints(db.execute(SQL["endpoint_found"], (tenant, id_)))), None))

    def page(self, tenant: str, limit: int, after: Place | None = None) -> Awaitable[Sequence[Endpoint]]:
        at, id_ = after or (None, None)
        return self._reader.run(lambda db: _endpoints(db.execute(SQL["endpoints_page"], (tenant, at, id_, limit))))

    def save(self, endpoint: Endpoint) -> Awaitable[bool]:
        return self._writer.submit(self._save, endpoint)

    def remove(self, tenant: str, id_: str) -> Awaitable[bool]:
        return self._writer.submit(self._remove, (tenant, id_))

    def purge(self, endpoint: str, limit: int) -> Awaitable[int]:
        return self._writer.submit(self._purge, (endpoint, limit))

    async def figures(self, most: int) -> tuple[int, Mapping[str, int]]:
        def both(db: apsw.Connection) -> tuple[int, dict[str, int]]:
            disabled: dict[str, int] = dict(db.execute(SQL["endpoints_disabled"]).fetchall())  # type: ignore[arg-type]
            return int(db.execute(SQL["postings_count"], (most,)).get), disabled

        return await self._reader.run(both)

    def live(self) -> Awaitable[Sequence[Endpoint]]:
        return self._reader.run(lambda db: _endpoints(db.execute(SQL["endpoints_live"])))

    def spread(self, endpoint: Endpoint, upto: int, postings: Sequence[Posting]) -> Awaitable[bool]:
        return self._writer.submit(self._spread, (endpoint, upto, postings))

    def waiting(self, endpoints: Collection[str], now: int) -> Awaitable[Sequence[str]]:
        args = (rows_of(list(endpoints)), now)
        return self._reader.run(lambda db: [id_ for (id_,) in db.execute(SQL["postings_waiting"], args)])

    def take(self, shares: Mapping[str, int], now: int, until: int) -> Awaitable[Sequence[Posting]]:
        return self._writer.submit(self._take, (shares, now, until))

    def tried(self, tried: Tried) -> Awaitable[Endpoint | None]:
        return self._writer.submit(self._tried, tried)

    def postings(self, endpoint: str, state: str | None, limit: int, before: int | None = None) -> Awaitable[Sequence[Posting]]:
        args = (endpoint, state, before, limit)
        return self._reader.run(lambda db: _postings(db.execute(SQL["postings_page"], args)))

    def replay(self, endpoint: str, ids: Collection[str] | None, now: int, limit: int) -> Awaitable[Sequence[str]]:
        wanted = None if ids is None else rows_of(list(ids))
        return self._writer.submit(self._replay, (endpoint, wanted, now, limit if ids is None else len(ids)))

    def forget(self, before: int, limit: int) -> Awaitable[int]:
        return self._writer.submit(self._forget, (before, limit))


def _endpoints(rows: Any) -> list[Endpoint]:
    return [endpoint_from(row) for row in rows]


def _postings(rows: Any) -> list[Posting]:
    return [posting_from(row) for row in rows]


class _Add(Operation):
    """Items: endpoints."""

    def apply(self, db: apsw.Connection, items: list[Endpoint]) -> list[bool]:
        return [_changed(db, "endpoint_add", endpoint_row(endpoint)) for endpoint in items]


class _Save(Operation):
    """Items: endpoints."""

    def apply(self, db: apsw.Connection, items: list[Endpoint]) -> list[bool]:
        return [_changed(db, "endpoint_save", saved_row(endpoint)) for endpoint in items]


class _Remove(Operation):
    """Items: (tenant, id)."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, str]]) -> list[bool]:
        return [_changed(db, "endpoint_remove", item) for item in items]


class _Spread(Operation):
    """Items: which endpoint, as it was read; to where it has seen, and what that gives."""

    def apply(self, db: apsw.Connection, items: list[tuple[Endpoint, int, Sequence[Posting]]]) -> list[bool]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, endpoint: Endpoint, upto: int, postings: Sequence[Posting]) -> bool:
        if not _changed(db, "endpoint_seen", (endpoint.id, endpoint.seen, endpoint.version, upto)):
            return False
        if postings:
            db.execute(SQL["postings_add"], (rows_of([posting_row(posting) for posting in postings]),))
        return True

    def weight(self, item: tuple[Endpoint, int, Sequence[Posting]]) -> int:
        return 1 + len(item[2])


class _Take(Operation):
    """Items: how many of each endpoint, now, until when."""

    def apply(self, db: apsw.Connection, items: list[tuple[Mapping[str, int], int, int]]) -> list[list[Posting]]:
        taken = []
        for shares, now, until in items:
            found = list[Posting]()
            for id_, most in shares.items():
                found += _postings(db.execute(SQL["postings_take"], (id_, most, now, until)))
            taken.append(sorted(found, key=lambda posting: (posting.endpoint, posting.seq)))
        return taken


class _TriedAll(Operation):
    """Items: tries."""

    def apply(self, db: apsw.Connection, items: list[Tried]) -> list[Endpoint | None]:
        return [self._one(db, item) for item in items]

    def _one(self, db: apsw.Connection, tried: Tried) -> Endpoint | None:
        posting = tried.posting
        endpoints = _endpoints(db.execute(SQL["endpoint_any"], (posting.endpoint,)))
        if not endpoints or not _changed(db, "posting_tried", tried_row(posting)):
            return None
        after = judged(endpoints[0], tried.at, ok=tried.ok, gone=tried.gone)
        if after != endpoints[0]:
            db.execute(SQL["endpoint_judged"], (after.id, after.failing_since, after.failed_at, after.disabled_for, after.version))
        return after


class _Replay(Operation):
    """Items: endpoint, ids (None: what failed), now, how many at the most."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, str | None, int, int]]) -> list[list[str]]:
        return [[id_ for (id_,) in db.execute(SQL["postings_replay"], item)] for item in items]


class _Purge(Operation):
    """Items: whose, and how many at the most."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, int]]) -> list[int]:
        return [_count(db, "postings_purge", item) for item in items]


class _Forget(Operation):
    """Items: before when, and how many at the most."""

    def apply(self, db: apsw.Connection, items: list[tuple[int, int]]) -> list[int]:
        return [_count(db, "postings_forget", item) for item in items]


def _count(db: apsw.Connection, name: str, args: tuple[Any, ...]) -> int:
    db.execute(SQL[name], args)
    return db.changes()


def _changed(db: apsw.Connection, name: str, args: tuple[Any, ...]) -> bool:
    return _count(db, name, args) > 0
