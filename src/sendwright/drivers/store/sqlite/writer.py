"""The one writer of the SQLite file: group commit, and the only checkpointer.

Everything that changes the file goes through `Writer.submit`. A thread of its own takes all that has gathered while the
previous flush was under way, runs it as one transaction, and answers every caller after the commit is on disk
(`synchronous=FULL`). Urgent work overtakes, and what is wanted soon goes first (backlog.py).

Why statements take JSON arrays: each `sqlite3_step` releases the interpreter lock, and getting it back from a busy event
loop costs up to a switch interval (measured: 5.7 ms per message with `executemany` beside a busy loop, 0.1 ms with one
statement per batch). An `Operation` therefore handles a list of items in a fixed, small number of statements.

Errors. Data: the flush is rolled back and bisected, so only the guilty item fails. Disk full, quota, read-only, locked: the
flush is rolled back and every caller gets `StoreDown`; the next flush tries anew. A failed sync or write, or damage:
the process must end (`on_fatal`), for after a failed fsync nothing that the file says can be trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from sendwright.drivers.store.sqlite.backlog import Backlog
from sendwright.errors import StoreDown, StoreUnusable

CHECKPOINT_PAGES = 1000
WAL_PAGES_MAX = 16_000
BUSY_MS = 15_000
SQLITE_MIN = (3, 51, 3)

_encode = msgspec.json.encode


class Operation:
    """What one kind of submitted item does. Subclasses are named after the port's method."""

    def apply(self, db: apsw.Connection, items: list[Any]) -> Sequence[Any]:
        """In the writer's thread, inside the transaction: one result per item, in order."""
        raise TypeError("an operation applies something")

    def weight(self, item: Any) -> int:
        """How many rows' worth of work an item is."""
        return 1

    def after_commit(self) -> Any:
        """In the writer's thread, right after the commit of what was applied last: what `committed` will get."""

    def committed(self, news: Any) -> None:
        """On the event loop, before the callers wake."""


def rows_of(rows: Sequence[Any]) -> str:
    """Rows as the JSON array that the named statements take."""
    return _encode(rows).decode()


def fetch(db: apsw.Connection, sql: str, *args: Any) -> Any:
    """The JSON value of a query that returns one, or None."""
    value = db.execute(sql, args).get
    return None if value is None else msgspec.json.decode(value)


class Touch(Operation):
    """Items: anything. Counts up, and nobody reads it: whether it can be written is all that is asked. (A row that is
    written as it was, SQLite does not write.)"""

    def apply(self, db: apsw.Connection, items: list[Any]) -> Sequence[Any]:
        db.execute("insert into meta (name, value) values ('touched', 1) on conflict (name) do update set value = value + 1")
        return items


class _Job:
    __slots__ = ("future", "item", "operation")

    def __init__(self, operation: Operation, item: Any, future: asyncio.Future[Any]) -> None:
        self.operation = operation
        self.item = item
        self.future = future


_Answered = tuple[Operation, list[_Job], Sequence[Any], Any]


class Writer:
    """Owns the connection that writes. Start it on a running loop; `stop` flushes what was submitted."""

    def __init__(self, path: Path, on_fatal: Callable[[str], None]) -> None:
        self._path = path
        self._name = str(path)
        self._on_fatal = on_fatal
        self._backlog = Backlog[_Job](lambda job: job.operation.weight(job.item))
        self._bell = threading.Lock()
        self._bell.acquire()
        self._idle = True
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._db: apsw.Connection
        self._wal_pages = 0
        self.flushes = 0
        self.refused = False
        """Whether the last write could not be made, for want of room or leave."""

    def start(self, db: apsw.Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._db = db
        self._inode = self._path.stat().st_ino
        db.set_wal_hook(self._after_wal)
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Flushes what was submitted, then closes the connection."""
        if self._thread is None:
            return
        self._stopping = True
        self._ring()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._thread = None
        with contextlib.suppress(apsw.Error):
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)  # all of it in one file: a copy of that is a backup
        self._db.close()

    def submit(self, operation: Operation, item: Any, *, urgent: bool = False, soon: bool = False) -> asyncio.Future[Any]:
        """The item's result, once it is durable. `urgent`: a link of a chain that a person waits for; `soon`: one write that
        somebody waits for. Raises `StoreDown` in the future when it is not."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._stopping:
            future.set_exception(StoreDown("the store is closed"))
            return future
        self._backlog.add(_Job(operation, item, future), urgent=urgent, soon=soon)
        if self._idle or urgent or soon:
            self._idle = False
            self._ring()
        return future

    def _ring(self) -> None:
        """Wakes the thread, now or when it next lies down. A bare lock: an Event's wait costs ten times as much."""
        with contextlib.suppress(RuntimeError):  # it has been rung already
            self._bell.release()

    def _run(self) -> None:
        while True:
            while not self._stopping and (pause_s := self._backlog.pause_s(time.monotonic())):
                self._bell.acquire(timeout=pause_s)
            began, stopping = time.monotonic(), self._stopping
            jobs = self._backlog.take(began)
            if jobs:
                self._flush(jobs)
                self._checkpoint_when_due()
                self._backlog.flushed(began, time.monotonic())
                continue
            if stopping:  # asked before the look: what was submitted right before the stop is in the backlog by then
                return
            self._idle = True
            if not self._backlog:
                self._bell.acquire()
            self._idle = False

    def _flush(self, jobs: list[_Job]) -> None:
        groups: dict[Operation, list[_Job]] = {}
        for job in jobs:
            groups.setdefault(job.operation, []).append(job)
        try:
            answers = self._transaction(groups)
        except apsw.Error as error:
            self._failed(jobs, error)
        except Exception as error:  # noqa: BLE001 — whatever an item's data did, its caller must hear of it
            self._rollback()
            self._bisect(jobs, error)
        else:
            self.flushes += 1
            self._answer(answers)

    def _transaction(self, groups: dict[Operation, list[_Job]]) -> list[_Answered]:
        db = self._db
        self._check_file()
        db.execute("begin immediate")
        answers = []
        for operation, members in groups.items():
            answers.append((operation, members, operation.apply(db, [job.item for job in members])))
        db.execute("commit")
        return [(operation, members, results, operation.after_commit()) for operation, members, results in answers]

    def _check_file(self) -> None:
        """A file that was moved or replaced under us would take commits that nobody finds again."""
        try:
            if os.stat(self._name).st_ino == self._inode:  # noqa: PTH116 -- once per commit, in a tenth of the time
                return
        except OSError:
            pass
        self._on_fatal("the database file was moved or replaced while running")
        raise apsw.IOError("the database file is gone")

    def _failed(self, jobs: list[_Job], error: apsw.Error) -> None:
        refused = isinstance(error, apsw.IOError) and self._refused(error)
        self._rollback()
        if refused:
            self._refuse(jobs, "the disk takes no writes now")
        elif isinstance(error, (apsw.IOError, apsw.CorruptError, apsw.NotADBError)):
            self._answer_error(jobs, StoreDown("the database file can't be trusted any more", maybe=True))
            self._on_fatal(f"{type(error).__name__} from the database file")
        elif isinstance(error, (apsw.FullError, apsw.ReadOnlyError, apsw.BusyError, apsw.LockedError, apsw.CantOpenError)):
            self._refuse(jobs, _WORDS.get(type(error), "the database file can't be written now"))
        else:
            self._bisect(jobs, error)

    def _refused(self, error: apsw.IOError) -> bool:
        """A write, not a sync, that the system refused for want of room or leave: before the commit, so it is as if it had
        never been tried. SQLite itself calls only the plain lack of space a full disk, not a quota or a read-only mount."""
        return getattr(error, "extendedresult", None) in _WRITES and self._db.system_errno in _NO_ROOM

    def _rollback(self) -> None:
        if self._db.in_transaction:
            with contextlib.suppress(apsw.Error):
                self._db.execute("rollback")

    def _bisect(self, jobs: list[_Job], error: Exception) -> None:
        if len(jobs) == 1:
            self._answer_error(jobs, error)
            return
        half = len(jobs) // 2
        self._flush(jobs[:half])
        self._flush(jobs[half:])

    def _answer(self, answers: list[_Answered]) -> None:
        self._call_loop(_deliver, answers)

    def _refuse(self, jobs: list[_Job], why: str) -> None:
        self.refused = True
        self._answer_error(jobs, StoreDown(why))

    def _answer_error(self, jobs: list[_Job], error: Exception) -> None:
        self._call_loop(_fail, jobs, error)

    def _call_loop(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *args)

    def _after_wal(self, db: apsw.Connection, name: str, pages: int) -> int:
        """After every commit that wrote something."""
        self._wal_pages = pages
        self.refused = False
        return apsw.SQLITE_OK

    def _checkpoint_when_due(self) -> None:
        if self._wal_pages < CHECKPOINT_PAGES or (self._backlog.urgent and self._wal_pages < WAL_PAGES_MAX):
            return
        try:
            mode = apsw.SQLITE_CHECKPOINT_PASSIVE if self._wal_pages < WAL_PAGES_MAX else apsw.SQLITE_CHECKPOINT_RESTART
            self._db.wal_checkpoint(mode=mode)
        except (apsw.BusyError, apsw.LockedError, apsw.FullError):
            pass  # readers are looking, or the disk is full: the next one tries again
        except apsw.Error as error:
            if not (isinstance(error, apsw.IOError) and self._refused(error)):
                self._on_fatal(f"{type(error).__name__} while checkpointing the database file")
        self._wal_pages = 0


_WRITES = frozenset({apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_TRUNCATE, apsw.SQLITE_IOERR_SHMSIZE})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

_WORDS: dict[type[apsw.Error], str] = {
    apsw.FullError: "the disk is full",
    apsw.ReadOnlyError: "the database file is read-only",
    apsw.BusyError: "another program holds the database file",
}


def _deliver(answers: list[_Answered]) -> None:
    for operation, _, _, news in answers:
        operation.committed(news)
    for _, jobs, results, _ in answers:
        for job, result in zip(jobs, results, strict=True):
            if not job.future.done():
                job.future.set_result(result)


def _fail(jobs: list[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)


def connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    """A configured connection; refuses an SQLite that can corrupt a WAL file."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SQLITE_MIN:
        raise StoreUnusable(f"SQLite {apsw.sqlite_lib_version()} can corrupt its write-ahead log; 3.51.3 or newer is needed")
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    db = apsw.Connection(str(path), flags=flags, statementcachesize=200)
    db.set_busy_timeout(BUSY_MS)
    if readonly:
        return db
    db.pragma("page_size", 4096)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "full")
    db.pragma("wal_autocheckpoint", 0)
    db.pragma("cache_size", -16_000)
    db.pragma("temp_store", "memory")
    db.pragma("journal_size_limit", 64 * 1024 * 1024)
    return db
