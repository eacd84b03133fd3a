"""The file that is moved: held by its lock, read in pages, marked so that nobody else starts on it (fence.py)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct

from sendwright.drivers.embedded import hold, opened
from sendwright.drivers.move.tables import Row, Table
from sendwright.drivers.store.sqlite.fence import COPIED, FENCE, MOVE, MOVED, PUBLISHED, mark, marked, marks_of, unmark
from sendwright.errors import OperatorError, StoreUnusable
from sendwright.model.parcel import glimpse, split

PAGE_ROWS = 2000
PAGE_BYTES = 2 * 1024 * 1024
"""A page takes no further row once it has this size: this, and no more, is what a move holds at a time."""
PAGE_BUNDLES = 64


class Lying(Struct, frozen=True):
    """A bundle of the file's lanes."""

    seq: int
    lane: str
    count: int
    body: bytes


class _Named(Struct):
    """What is read of a parcel of the intake."""

    id: str
    tenant: str


class Source:
    """The file, for its move."""

    def __init__(self, path: Path, db: apsw.Connection) -> None:
        self.path = path
        self._db = db

    def count(self, table: str) -> int:
        return int(self._db.execute(f"select count(*) from {table}").get)  # noqa: S608 — names of ours

    def parcels(self) -> int:
        """On all lanes together, taken ones included: whoever had them did not finish."""
        return int(self._db.execute("select coalesce(sum(count), 0) from bundles").get)

    def page(self, table: Table, after: Sequence[Any]) -> tuple[list[Row], tuple[Any, ...]]:
        """The rows that follow the one with this key (none: the first ones), as PostgreSQL takes them, and the key of the last."""
        key, width = ", ".join(table.key), len(table.key)
        beyond = f"where ({key}) > ({', '.join('?' * width)})" if after else ""
        sql = f"select {key}, {', '.join(table.columns)} from {table.name} {beyond} order by {key} limit {PAGE_ROWS}"  # noqa: S608
        rows, last, size = list[Row](), tuple(after), 0
        with contextlib.closing(self._db.cursor()) as cursor:
            for found in cursor.execute(sql, tuple(after)):
                last = tuple(found[:width])
                rows.append(table.converted(found[width:]))
                size += sum(len(value) for value in found if isinstance(value, (str, bytes)))
                if size > PAGE_BYTES:
                    break
        return rows, last

    def bundles(self, after: int) -> list[Lying]:
        """The bundles that follow this one, in the order in which they were made."""
        found, size = list[Lying](), 0
        with contextlib.closing(self._db.cursor()) as cursor:
            sql = "select seq, lane, count, body from bundles where seq > ?1 order by seq limit ?2"
            for row in cursor.execute(sql, (after, PAGE_BUNDLES)):
                found.append(Lying(*row))
                size += len(row[3])
                if size > PAGE_BYTES:
                    break
        return found

    def newest(self) -> tuple[str, str] | None:
        """The tenant and the id of the notification that was accepted last; None where there is none."""
        found = [
            *self._db.execute("select tenant, id from notifications where planned = 1 order by id desc limit 1"),
            *self._db.execute("select tenant, id from keys order by at desc limit 1"),
        ]
        for (body,) in self._db.execute("select body from bundles where lane like 'intake.%' order by seq desc limit 1"):
            if (named := glimpse(_Named, split(body)[-1])) is not None:
                found.append((named.tenant, named.id))
        return max(found, key=lambda row: str(row[1])) if found else None

    def fence(self) -> int | None:
        """What was accepted up to then, and is not planned yet, is held in doubt."""
        return marked(self._db, FENCE)

    def epoch(self) -> int:
        return int(self._db.execute("select value from meta where name = 'epoch'").get)

    # The marks

    @property
    def published(self) -> bool:
        """Whether anything of it may be on the other bus."""
        return PUBLISHED in marks_of(self._db)

    @property
    def moved(self) -> int | None:
        """When all was over, in ms since 1970."""
        return marks_of(self._db).get(MOVED)

    @property
    def number(self) -> int | None:
        """The number of the move that has begun."""
        return marks_of(self._db).get(MOVE)

    def begin(self) -> int:
        """From here on nobody else starts on the file. The number of its move, always the same."""
        mark(self._db, MOVE)
        return marks_of(self._db)[MOVE]

    def publishing(self, now: int) -> None:
        """From here on there is no way back."""
        mark(self._db, PUBLISHED, now)

    def over(self, now: int) -> None:
        mark(self._db, MOVED, now)

    def abandon(self) -> None:
        """The file may be used again. Raises `OperatorError` where that would send things twice."""
        marks = marks_of(self._db)
        if PUBLISHED in marks:
            raise OperatorError(f"what lay on the lanes of {self.path} is on the other bus already: there is no way back")
        if MOVE not in marks:
            raise OperatorError(f"no move of {self.path} has begun")
        unmark(self._db)


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Holds the file until the end. Raises `StoreUnusable` where it is not there, in use, damaged or of another version."""
    if not path.is_file():
        raise StoreUnusable(f"{path} does not exist: --from names the file to move")
    try:
        lock = hold(path)
    except StoreUnusable as error:
        raise StoreUnusable(f"{error}. Stop it first: what is moved must rest") from error
    try:
        db = opened(path, moving=True)
        try:
            if marked(db, COPIED) is not None:
                raise StoreUnusable(
                    f"{path} is a backup: `sendwright restore` first holds what may have been sent since it was made"
                )
            yield Source(path, db)
        finally:
            db.close()
    finally:
        os.close(lock)
