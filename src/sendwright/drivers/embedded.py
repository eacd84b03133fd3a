"""The embedded engine: one SQLite file, one process, bus and store together."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import apsw

from sendwright.drivers.bus.sqlite import SqliteBus
from sendwright.drivers.bus.sqlite_lanes import Lanes
from sendwright.drivers.store.sqlite.desk import SqliteDesk
from sendwright.drivers.store.sqlite.directory import SqliteDirectory
from sendwright.drivers.store.sqlite.endpoints import SqliteEndpoints
from sendwright.drivers.store.sqlite.fence import COPIED, FENCE, beaten, mark, marked, note_beside, refuse_moved
from sendwright.drivers.store.sqlite.folio import Serials
from sendwright.drivers.store.sqlite.inbox import SqliteInbox
from sendwright.drivers.store.sqlite.keyring import SqliteKeyRing
from sendwright.drivers.store.sqlite.ledger import SqliteLedger
from sendwright.drivers.store.sqlite.notices import SqliteNotices
from sendwright.drivers.store.sqlite.quarantine import SqliteQuarantine
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.records import SqliteRecords
from sendwright.drivers.store.sqlite.sessions import SqliteSessions
from sendwright.drivers.store.sqlite.sql import SQL, schema
from sendwright.drivers.store.sqlite.suppressions import SqliteSuppressions
from sendwright.drivers.store.sqlite.sweeper import SqliteSweeper
from sendwright.drivers.store.sqlite.switchboard import SqliteSwitchboard
from sendwright.drivers.store.sqlite.types import SqliteLayouts, SqliteTypes
from sendwright.drivers.store.sqlite.waiting import SqliteWaiting
from sendwright.drivers.store.sqlite.writer import Operation, Touch, Writer, connect
from sendwright.engine.ports import Accord, Finder, Registry, Stands
from sendwright.engine.store_time import StoreClock
from sendwright.errors import StoreDown, StoreUnusable
from sendwright.policy.suppression import UNKEYED, Marker

SCHEMA = 10
SWITCH_INTERVAL_S = 0.0001
"""How long the event loop may keep the interpreter while the writer wants it: the default of 5 ms is a flush's length."""

CHECKED_BYTES = 64 * 1024 * 1024
"""Files up to this size are checked whole at each start; larger ones would delay it by seconds."""

_TOUCH = Touch()


class _Beat(Operation):
    """Items: open files of the lock. How far the file has come."""

    def apply(self, db: apsw.Connection, items: list[int]) -> list[int]:
        return [beaten(db, lock) for lock in items]


_BEAT = _Beat()

WEEK_MS = 7 * 24 * 3600 * 1000


class SqliteBackend:
    """Everything that the engine's ports need, over one file."""

    def __init__(
        self, path: Path, lock: int, process: str, writer: Writer, db: apsw.Connection, keep_ms: Callable[[], int], marker: Marker
    ) -> None:
        self._lock = lock
        self.name = "sqlite"
        self.registry: Registry | None = None
        self.accord: Accord | None = None
        self.store_clock: StoreClock | None = None
        self.path = path
        self.process = process
        self.finder: Finder | None = None
        self.writer = writer
        self._reader = Reader(path, "sqlite-reader")
        self._slow = Reader(path, "sqlite-slow")
        self._keys = Reader(path, "sqlite-keys")  # whoever is to be let in never queues behind long lists
        lanes = Lanes()
        lanes.restore([tuple(row) for row in db.execute(SQL["lanes"])])
        serials = Serials(db)
        self.bus = SqliteBus(writer, self._reader, lanes)
        self.fence_at = marked(db, FENCE) or 0
        self.desk = SqliteDesk(writer, self._reader, lanes, process, keep_ms)
        self.ledger = SqliteLedger(writer, serials, marker)
        self.quarantine = SqliteQuarantine(writer, self._slow)
        self.sweeper = SqliteSweeper(writer)
        self.waiting = SqliteWaiting(writer, self._reader)
        self.records = SqliteRecords(self._reader, self._slow)
        self.switchboard = SqliteSwitchboard(writer, self._reader)
        self.keyring = SqliteKeyRing(writer, self._keys)
        self.inbox = SqliteInbox(writer, self._reader)
        self.directory = SqliteDirectory(writer, self._reader, serials)
        self.suppressions = SqliteSuppressions(writer, self._reader)
        self.sessions = SqliteSessions(writer, self._slow)
        self.types = SqliteTypes(writer, self._reader)
        self.layouts = SqliteLayouts(writer, self._reader)
        self.endpoints = SqliteEndpoints(writer, self._reader)
        self.credentials = notices = SqliteNotices(writer, self._slow)
        self.stands: Stands | None = notices

    async def writable(self) -> bool:
        """Whether the file takes writes, as far as is known; where it last did not, it is tried."""
        if self.writer.refused:
            try:
                await self.writer.submit(_TOUCH, None)
            except StoreDown:
                return False
        return True

    async def beat(self) -> None:
        """Notes how far it has come."""
        beat: int = await self.writer.submit(_BEAT, self._lock)
        note_beside(self._lock, beat)

    async def copied(self, to: Path) -> None:
        """Writes a copy of the file as it is now, consistent and compact, while work goes on. Raises `StoreDown`."""
        await asyncio.to_thread(_copied, self.path, to)

    def close_readers(self) -> None:
        self._reader.close()
        self._slow.close()
        self._keys.close()


def _copied(path: Path, to: Path) -> None:
    try:
        db = connect(path, readonly=True)
        try:
            db.execute("vacuum into ?", (str(to),))
        finally:
            db.close()
        copy = apsw.Connection(str(to))
        try:
            mark(copy, COPIED, time.time_ns() // 1_000_000)
        finally:
            copy.close()
    except apsw.Error as error:
        raise StoreDown(f"{type(error).__name__} while copying the database file") from error


@asynccontextmanager
async def open_sqlite(
    path: Path,
    *,
    process: str | None = None,
    keep_ms: Callable[[], int] = lambda: WEEK_MS,
    on_fatal: Callable[[str], None] | None = None,
    marker: Marker = UNKEYED,
) -> AsyncIterator[SqliteBackend]:
    """Opens (and makes, at first) the file for this process alone. Raises `StoreUnusable` when it can't be used.

    `marker`: by the installation's key; it makes the hashes of addresses that evidence puts on the list of suppressions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = hold(path)
    try:
        db = opened(path)
        note_beside(lock, beaten(db, lock))
        writer = Writer(path, on_fatal or _die)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        backend = SqliteBackend(path, lock, process or f"p{secrets.token_hex(8)}", writer, db, keep_ms, marker)
        writer.start(db)
        try:
            yield backend
        finally:
            await writer.stop()
            backend.close_readers()
    finally:
        os.close(lock)


def hold(path: Path) -> int:
    """A lock on a file beside the database; another process holding it is an operator's error. Closing it lets go."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreUnusable(f"{path} is in use by another process: a SQLite file has one") from error
    return lock


def opened(path: Path, *, moving: bool = False) -> apsw.Connection:
    """A connection that writes, to a file that was found sound, or made where there was none. One that is moved to other
    engines is opened for its move alone."""
    try:
        if not path.exists() or path.stat().st_size == 0:
            return _made(path)
        db = _sound(path)
        if not moving:
            refuse_moved(db, str(path))
    except apsw.Error as error:
        raise StoreUnusable(f"{path} can't be opened as a database ({type(error).__name__})") from error
    return db


def _made(path: Path) -> apsw.Connection:
    path.touch(mode=0o600)
    db = connect(path)
    with db:
        db.execute(schema())
    return db


def _sound(path: Path) -> apsw.Connection:
    db = connect(path)
    verdict = db.execute("pragma quick_check(1)").get if path.stat().st_size < CHECKED_BYTES else "ok"
    if verdict != "ok":
        raise StoreUnusable(f"{path} is damaged ({verdict}): restore a backup")
    found = db.execute("select value from meta where name = 'schema'").get
    while upgrade := SQL.get(f"upgrade_from_{found}"):
        with db:
            db.execute(upgrade)
        found = db.execute("select value from meta where name = 'schema'").get
    if found != SCHEMA:
        raise StoreUnusable(f"{path} has schema {found}, this version needs {SCHEMA}")
    return db


def _die(reason: str) -> None:
    """After a failed sync nothing in the file can be trusted until it is opened anew: end at once, and say why."""
    os.write(2, f"sendwright: {reason}; stopping\n".encode())
    os._exit(70)
