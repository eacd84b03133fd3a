"""A SQLite file that was restored: held by its lock, and by a mark (store/sqlite/fence.py) once the holding has begun."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from sendwright.drivers.embedded import hold, opened
from sendwright.drivers.restore.doubting import HELD, SEEN, UNSETTLED, Unsettled, supposed
from sendwright.drivers.store.sqlite.fence import BEAT, COPIED, FENCE, beaten, forget, mark, marked, overtaken, put
from sendwright.drivers.store.sqlite.supposed import suppose
from sendwright.drivers.store.sqlite.writer import connect
from sendwright.errors import StoreUnusable
from sendwright.model.states import AttemptState, MessageState

_LAST = "select max(id) from (select id from messages where id > ?1 order by id limit ?2)"
_PAGE = f"""select m.id, m.tenant, m.state, m.number, m.step, m.steps
from messages m left join waits w on w.message = m.id
where m.id > ?1 and m.id <= ?2 and m.state in {UNSETTLED}
  and not (m.state = {MessageState.SCHEDULED.value} and coalesce(w.key, '') = 'time' and w.due_at > ?3)
order by m.id"""  # noqa: S608 — numbers of ours
_OPEN = """update attempts set state = ?3, finished_at = coalesce(finished_at, ?2), reason = ?4, detail = ?5
where message = ?1 and state = ?6"""
_MESSAGE = "update messages set state = ?2, token = null, reason = ?3, detail = ?4, updated_at = ?5 where id = ?1"
_EVENT = "insert into events (at, tenant, type, subject, detail) values (?1, ?2, ?3, ?4, ?5)"


class RestoredFile:
    """doubting.Restored, over a file."""

    def __init__(self, path: Path, db: apsw.Connection, lock: int) -> None:
        self.path = path
        self._db = db
        self._lock = lock

    async def begin(self) -> int:
        known = (time.time_ns() // 1_000_000, marked(self._db, COPIED) or 0, marked(self._db, BEAT) or 0)
        now = max(known)  # a clock that is behind would let through what was accepted by the one before
        mark(self._db, COPIED, now)
        return now

    async def page(self, after: str, now: int) -> tuple[Sequence[Unsettled], str | None]:
        last = self._db.execute(_LAST, (after, SEEN)).get
        rows = [] if last is None else [Unsettled(*row) for row in self._db.execute(_PAGE, (after, last, now))]
        return rows, last

    async def hold(self, rows: Sequence[Unsettled], now: int, providers: Mapping[str, str]) -> None:
        state, reason, detail = HELD
        with self._db as db:
            for row in rows:
                attempt = supposed(row, now, providers)
                if attempt is None:
                    db.execute(_OPEN, (row.id, now, AttemptState.IN_DOUBT.value, reason, detail, AttemptState.SENDING.value))
                else:
                    suppose(db, [attempt])
                db.execute(_MESSAGE, (row.id, state.value, reason, detail, now))
                db.execute("delete from waits where message = ?1", (row.id,))
                db.execute(_EVENT, (now, row.tenant, f"message.{state.label}", row.id, reason))

    async def release(self, fence: int | None) -> None:
        with self._db as db:
            if fence is not None:
                put(db, FENCE, fence)
            forget(db, COPIED)
            beaten(db, self._lock)  # from here on it is not older than what stood here


def known_for_a_copy(path: Path) -> bool:
    """Whether the file is one, or its holding has begun. Raises `StoreUnusable` where somebody works with it."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    lock = hold(path)
    try:
        db = connect(path, readonly=True)
        try:
            return marked(db, COPIED) is not None or overtaken(db, lock)
        finally:
            db.close()
    except apsw.Error:
        return False  # whoever opens it says what it is
    finally:
        os.close(lock)


def mark_copy(path: Path) -> None:
    """Marks a file that is about to take its place. Raises `StoreUnusable` where it is no database of ours, or damaged."""
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            verdict = db.execute("pragma quick_check(1)").get
            if verdict != "ok":
                raise StoreUnusable(f"the copy is damaged ({verdict})")
            mark(db, COPIED, time.time_ns() // 1_000_000)
        finally:
            db.close()
    except apsw.Error as error:
        raise StoreUnusable(f"the copy is no database of Sendwright ({type(error).__name__})") from error


@contextmanager
def open_file(path: Path) -> Iterator[RestoredFile]:
    """The file, while nobody works with it. Raises `StoreUnusable` where somebody does, or it can't be used or written."""
    lock = hold(path)
    try:
        db = opened(path)
        try:
            yield RestoredFile(path, db, lock)
        except apsw.Error as error:
            raise StoreUnusable(f"{path} can't be written ({type(error).__name__}): make room, and start again") from error
        finally:
            db.close()
    finally:
        os.close(lock)
