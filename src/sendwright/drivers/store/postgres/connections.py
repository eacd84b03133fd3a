"""Connections to one PostgreSQL: a bounded stack of them, and what its errors mean.

Every connection plans once per statement and never by statistics (`SETTINGS`): hot statements join from the bound arrays into
an index, on a table of ten rows as on one of ten million that nobody has analysed yet. Only the recount sets that aside.

What an error leaves behind:

    before a statement that writes was sent     nothing                StoreDown, or another connection
    in a transaction, before `commit`           nothing                StoreDown
    while `commit` or a lone statement was on   nobody knows           StoreDown(maybe=True), or the same again where that is safe
    its way
    a lock or a statement took too long, no     nothing                StoreDown
    room, shutting down, read-only
    two flushes in each other's way             nothing                the same again
    a day without a partition                   nothing                the partition, and the same again
    anything else: data                         nothing                raised as it is; the batcher finds the guilty item
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg

from sendwright.drivers.store.postgres.sql import SQL
from sendwright.errors import StoreDown, StoreUnusable

T = TypeVar("T")
Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

STATEMENT_S = 10
LOCK_S = 5
CONNECT_S = 5.0
SILENCE_S = 15.0
"""No answer to a statement for so long: the server, or the way to it, is gone."""
TURNS = 8
"""So often is a flush run that others got in the way of."""
CONNECTIONS_MAX = 12
READERS_MAX = 4
"""Of those, so many may be reading what people ask to see: the writers always have the others."""

SETTINGS = {
    "application_name": "sendwright",
    "statement_timeout": f"{STATEMENT_S}s",
    "lock_timeout": f"{LOCK_S}s",
    "idle_in_transaction_session_timeout": f"{int(SILENCE_S)}s",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",  # rows are locked in the order in which they are found: by their ids, not by their places
    "jit": "off",
    "timezone": "UTC",
}

_WRONG = (ValueError, asyncpg.InterfaceError, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
_AGAIN = {"40001", "40P01"}
_SLOW = {"55P03", "57014"}
_NOT_NOW = ("53", "57", "58", "25006", "42P01", "42703")
"""No room; an operator's intervention; a system error; read-only; a table or column that is being migrated."""


class Again(StoreDown):
    """Nothing was written, and the same may be tried at once."""


class NoPartition(StoreDown):
    """Nothing was written: there is no partition for the day of some id."""


class Connections:
    """A stack of connections. The last one that was put back is taken first, so that few are open where few are needed."""

    def __init__(self, url: str, *, settings: dict[str, str] | None = None, most: int = CONNECTIONS_MAX) -> None:
        self._url = url
        self._settings = SETTINGS | (settings or {})
        self._idle: list[Db] = []
        self._room = asyncio.Semaphore(most)
        self._readers = asyncio.Semaphore(min(READERS_MAX, most))
        self._closed = False
        self._opened = False
        """Whether there ever was a connection: before that, who is not let in was told wrongly how."""
        self.refused = False
        """Whether the last write could not be made, for want of a server, room or leave."""
        self.before_commit: Callable[[str], Awaitable[None]] | None = None
        """For tests: awaited with the port method's name when all is written and nothing is committed."""

    async def close(self) -> None:
        self._closed = True
        for db in self._idle:
            with contextlib.suppress(Exception):
                await db.close(timeout=1)
        self._idle.clear()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Db]:
        """A connection for one task. Raises `StoreDown` when there is none to be had."""
        async with self._room:
            db = await self._taken()
            try:
                yield db
            except asyncio.CancelledError:
                db.terminate()  # whatever it was in the middle of, nobody else shall find it so
                raise
            finally:
                if not db.is_closed() and not self._closed:
                    self._idle.append(db)
                elif not db.is_closed():
                    db.terminate()

    async def statement(self, method: str, name: str, *args: Any) -> list[Any]:
        """One named statement that writes, in a transaction of its own; its rows."""
        if self.before_commit is not None:
            return await self.transaction(method, lambda db: db.fetch(SQL[name], *args))
        async with self.use() as db:
            try:
                rows = await db.fetch(SQL[name], *args)
            except Exception as error:
                raise self._judged(db, error, sent=True) from error
        self.refused = False
        return rows

    async def transaction(self, method: str, work: Callable[[Db], Awaitable[T]]) -> T:
        """Runs `work` between begin and commit."""
        async with self.use() as db:
            committing = False
            try:
                await db.execute("begin")
                answer = await work(db)
                if self.before_commit is not None:
                    await self.before_commit(method)
                committing = True
                await db.execute("commit")
            except Exception as error:
                await _rolled_back(db)
                raise self._judged(db, error, sent=committing) from error
            except BaseException:
                db.terminate()
                raise
        self.refused = False
        return answer

    async def read(self, name: str, *args: Any) -> list[Any]:
        """The rows of a named statement that only reads."""
        return await self.query(SQL[name], *args)

    async def query(self, sql: str, *args: Any) -> list[Any]:
        return await self.reading(lambda db: db.fetch(sql, *args))

    async def reading(self, work: Callable[[Db], Awaitable[T]]) -> T:
        """Runs what only reads, on a connection of its own."""
        async with self._readers, self.use() as db:
            try:
                return await work(db)
            except Exception as error:
                await _rolled_back(db)
                raise self._judged(db, error, sent=False) from error

    async def writing(self, work: Callable[[Db], Awaitable[T]]) -> T:
        """Runs what makes its own transactions, and is safe to repeat."""
        async with self.use() as db:
            try:
                return await work(db)
            except Exception as error:
                await _rolled_back(db)
                raise self._judged(db, error, sent=True) from error

    async def _taken(self) -> Db:
        while self._idle:
            db = self._idle.pop()
            if not db.is_closed():
                return db
        if self._closed:
            raise StoreDown("the store is closed")
        return await self._connected()

    async def _connected(self) -> Db:
        try:
            db = await asyncpg.connect(
                self._url,
                timeout=CONNECT_S,
                command_timeout=SILENCE_S,
                statement_cache_size=200,
                max_cached_statement_lifetime=0,
                server_settings=self._settings,
            )
        except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not self._opened and isinstance(error, _WRONG):
                raise StoreUnusable(f"PostgreSQL lets nobody in ({type(error).__name__})") from error
            self.refused = True
            raise StoreDown(f"PostgreSQL can't be reached ({type(error).__name__})") from error
        self._opened = True
        return db

    def _distrust(self) -> None:
        """What befell one has befallen those that rest beside it: each would be silent for as long before that is known."""
        for db in self._idle:
            db.terminate()
        self._idle.clear()

    def _judged(self, db: Db, error: Exception, *, sent: bool) -> Exception:
        """What to raise for an error; see the table at the top. `sent`: something that can't be taken back was on its way."""
        if isinstance(error, (StoreDown, asyncpg.DataError)):
            return error
        name = type(error).__name__
        if isinstance(error, (asyncpg.PostgresConnectionError, OSError, TimeoutError)) or db.is_closed():
            db.terminate()
            self._distrust()
            self.refused = True
            return StoreDown(f"the connection to PostgreSQL broke ({name})", maybe=sent)
        state = getattr(error, "sqlstate", None) or ""
        if state in _AGAIN:
            return Again(f"somebody else was in the way ({name})")
        if state == "23514" and "no partition" in str(error):
            return NoPartition("a partition is missing")
        if state in _SLOW:
            return StoreDown(f"PostgreSQL took too long ({name})")
        if state.startswith(_NOT_NOW):
            self.refused = True
            return StoreDown(f"PostgreSQL takes no writes now ({name})", maybe=sent and state.startswith("57"))
        return error


async def _rolled_back(db: Db) -> None:
    if db.is_in_transaction():
        try:
            await db.execute("rollback")
        except Exception:  # noqa: BLE001 — then the connection is of no more use, and the server rolls back by itself
            db.terminate()


def first(rows: Sequence[Any]) -> Any:
    """The one value of a query that has one."""
    return rows[0][0] if rows else None
