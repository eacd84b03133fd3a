"""The store: the one in memory, with an ear at every commit, and each process's link to it.

A request that has left its process is the store's: it is done even if its caller dies meanwhile, and a paused caller finds
the answer when it goes on. What the link may do to a call, weather.py says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sendwright.drivers.store.memory_tables import EventLog, MemoryStore, Table, Tables
from sendwright.errors import StoreDown
from simulation.weather import Fate

if TYPE_CHECKING:
    from simulation.process import Life

LEDGER = (
    "plan", "claim", "settle", "park", "end", "advance", "observe", "cancel", "resolve", "revive", "drop", "repair",
)  # fmt: skip
Committing = Callable[[str, Tables], None]


class SimStore(MemoryStore):
    """Transactions never wait for one another here: each is one step of the simulation. `committing` is shown every one
    before it is committed; `committed` hears afterwards whether waits or open attempts changed."""

    def __init__(self, committing: Committing, committed: Callable[[bool, bool], None]) -> None:
        super().__init__()
        self._committing = committing
        self._committed = committed
        self._parts: list[Table[Any, Any] | EventLog] = [
            part for part in vars(self.tables).values() if isinstance(part, Table | EventLog)
        ]

    def transaction(self, method: str) -> Any:
        return _Transaction(self, method)

    def commit(self, method: str) -> None:
        t = self.tables
        self._committing(method, t)
        waits, opened = bool(t.waits._draft), bool(t.open._draft)
        for part in self._parts:
            if part._draft:
                part.commit()
        if waits or opened:
            self._committed(waits, opened)

    def rollback(self) -> None:
        self.tables.rollback()


class _Transaction:
    """`async with`, without a lock: nothing suspends inside."""

    __slots__ = ("_method", "_store")

    def __init__(self, store: SimStore, method: str) -> None:
        self._store = store
        self._method = method

    async def __aenter__(self) -> Tables:
        return self._store.tables

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._store.commit(self._method)
        else:
            self._store.rollback()


class StoreLink:
    """A port of the store as one life sees it. `methods` may be lost on the way, `reads` only with the whole store."""

    def __init__(self, life: Life, port: Any, methods: tuple[str, ...], reads: tuple[str, ...] = ()) -> None:
        self._life = life
        self._world = life.world
        for name in methods:
            setattr(self, name, partial(self._through, name, getattr(port, name)))
        for name in reads:
            setattr(self, name, partial(self._read, getattr(port, name)))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    async def _read(self, method: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        if not self._world.weather.store_reads(self._life.name):
            raise StoreDown("the store can't be reached")
        return await method(*args)

    async def _through(self, name: str, method: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        fate = self._world.weather.store(self._life.name)
        if fate is None:
            return await method(*args)
        if fate.fault:
            self._world.note(self._life.label, fate.fault, name)
        answer: asyncio.Future[Any] = self._world.loop.create_future()
        self._world.later(fate.before_s, self._arrived, answer, partial(method, *args), fate)
        return await answer

    def _arrived(self, answer: asyncio.Future[Any], call: Callable[[], Coroutine[Any, Any, Any]], fate: Fate) -> None:
        world = self._world
        if fate.late_s:
            world.later(fate.late_s, _done, call)
        result: Any = None
        error: Exception | None = None
        if fate.does and not fate.late_s:
            try:
                result = _done(call)
            except Exception as raised:  # noqa: BLE001 — it is the caller's
                error = raised
        if fate.error:
            error = StoreDown("no answer of the store", maybe=fate.error == "maybe")
        world.later(fate.after_s, _answered, answer, result, error)


def _done(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs a coroutine of the store in one step."""
    coro = call()
    try:
        coro.send(None)
    except StopIteration as over:
        return over.value
    raise AssertionError("the store in memory waited for something")


def _answered(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
