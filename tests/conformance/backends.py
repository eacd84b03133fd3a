"""The backends under test, and what a test may do to them beside their ports.

To add one, write an async context manager that yields an `UnderTest` and put it in `BACKENDS`; the suites need no change.
`restart` simulates kill -9 and a new start over the same storage. `hold` is optional: it stops the next call of one port
method inside its transaction, when all is written and nothing is committed, which is where races live.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import pytest

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.engine.ports import Bus, IntakeDesk, Ledger, Records, Switchboard, Waiting
from tests.conformance.builders import ManualClock


class Held(Protocol):
    """One transaction that is stopped before its commit."""

    async def reached(self) -> None:
        """Returns when the transaction stands there."""
        ...

    def release(self) -> None: ...


class UnderTest(Protocol):
    """One running backend."""

    name: str
    bus: Bus
    desk: IntakeDesk
    ledger: Ledger
    waiting: Waiting
    records: Records
    switchboard: Switchboard
    hold: Callable[[str], AbstractAsyncContextManager[Held]] | None
    """None where a transaction can't be held open."""
    grace_s: float
    """How long a call that was started needs to come to where it has to queue or block."""

    async def restart(self) -> UnderTest: ...

    async def pass_time(self, seconds: float) -> None:
        """Lets the time pass that the bus sees."""
        ...


class _Memory:
    name = "memory"
    grace_s = 0.0

    def __init__(self, backend: MemoryBackend, clock: ManualClock) -> None:
        self._backend = backend
        self._clock = clock
        self.bus, self.desk, self.ledger = backend.bus, backend.desk, backend.ledger
        self.waiting, self.records, self.switchboard = backend.waiting, backend.records, backend.switchboard

    async def restart(self) -> UnderTest:
        return _Memory(await self._backend.restart(), self._clock)

    async def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    @asynccontextmanager
    async def hold(self, method: str) -> AsyncIterator[Held]:
        gate = _TaskGate()

        async def stop(entered: str) -> None:
            if entered == method and not gate.stands.is_set():
                gate.stands.set()
                await gate.open.wait()

        self._backend.store.before_commit = stop
        try:
            yield gate
        finally:
            gate.release()
            self._backend.store.before_commit = None


class _TaskGate:
    def __init__(self) -> None:
        self.stands = asyncio.Event()
        self.open = asyncio.Event()

    async def reached(self) -> None:
        await self.stands.wait()

    def release(self) -> None:
        self.open.set()


@asynccontextmanager
async def memory() -> AsyncIterator[UnderTest]:
    clock = ManualClock()
    yield _Memory(MemoryBackend(clock), clock)


class _Sqlite:
    name = "sqlite"
    grace_s = 0.0

    def __init__(self, backend: Any, stack: AsyncExitStack, open_sqlite: Any) -> None:
        self._backend = backend
        self._stack = stack
        self._open = open_sqlite
        self.bus, self.desk, self.ledger = backend.bus, backend.desk, backend.ledger
        self.waiting, self.records, self.switchboard = backend.waiting, backend.records, backend.switchboard

    async def restart(self) -> UnderTest:
        """Opens a copy of the files as they lie on the disk now, which is what a kill would leave."""
        path = self._backend.path
        copied = path.parent / f"{path.stem}x.db"
        for suffix in ("", "-wal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{copied}{suffix}")
        return _Sqlite(await self._stack.enter_async_context(self._open(copied)), self._stack, self._open)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def hold(self, _method: str) -> AsyncIterator[Held]:
        """The writer commits one flush after the other: the next one is that of the call that comes next."""
        gate = _ThreadGate()
        database = self._backend.writer._db
        database.set_commit_hook(gate.stop)
        try:
            yield gate
        finally:
            gate.release()
            database.set_commit_hook(None)


class _ThreadGate:
    def __init__(self) -> None:
        self._stands = asyncio.Event()
        self._open = threading.Event()
        self._loop = asyncio.get_running_loop()

    def stop(self) -> bool:
        """In the writer's thread, just before a commit. False lets it commit."""
        if not self._stands.is_set():
            self._loop.call_soon_threadsafe(self._stands.set)
            self._open.wait(30)
        return False

    async def reached(self) -> None:
        await self._stands.wait()

    def release(self) -> None:
        self._open.set()


@asynccontextmanager
async def sqlite() -> AsyncIterator[UnderTest]:
    open_sqlite = import_module("sendwright.drivers.store.sqlite").open_sqlite
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            yield _Sqlite(await stack.enter_async_context(open_sqlite(Path(folder) / "a.db")), stack, open_sqlite)


def _has_sqlite() -> bool:
    if find_spec("sendwright.drivers.store.sqlite") is None:
        return False
    try:
        return hasattr(import_module("sendwright.drivers.store.sqlite"), "open_sqlite")
    except ImportError:
        return False


BACKENDS: list[Callable[[], AbstractAsyncContextManager[UnderTest]]] = [memory, *([sqlite] if _has_sqlite() else [])]


def every_backend() -> Any:
    """The fixture `backend` of a suite: `backend = every_backend()` at the top of its module."""

    @pytest.fixture(params=BACKENDS, ids=lambda opened: opened.__name__)
    async def backend(request: pytest.FixtureRequest) -> AsyncIterator[UnderTest]:
        async with request.param() as opened:
            yield opened

    return backend


Interleaving = tuple[str, int | None]
INTERLEAVINGS: list[Interleaving] = [(first, gap) for first, gap in itertools.product(("first", "second"), (None, 0, 1, 2, 3))]
"""Which of two calls starts, and how: None holds it open before its commit while the other comes (a backend that can't
do that starts the other one turn of the event loop later); a number starts the other that many turns later."""


def spelled(interleaving: Interleaving) -> str:
    first, gap = interleaving
    return f"{first}-held" if gap is None else f"{first}-ahead-by-{gap}"


class Call:
    """One call of a port method: its name, and what makes it."""

    def __init__(self, method: str, make: Callable[[], Any]) -> None:
        self.method = method
        self._make = make

    async def __call__(self) -> Any:
        return await self._make()


async def race(backend: UnderTest, interleaving: Interleaving, first: Call, second: Call) -> tuple[Any, Any]:
    """Runs both so interleaved; returns their results in the order in which they are given, not in which they ran."""
    starts, gap = interleaving
    early, late = (first, second) if starts == "first" else (second, first)
    if gap is None and backend.hold is not None:
        results = await _held(backend, early, late)
    else:
        results = await _apart(early, late, 1 if gap is None else gap)
    return results if starts == "first" else (results[1], results[0])


async def _held(backend: UnderTest, early: Call, late: Call) -> tuple[Any, Any]:
    assert backend.hold is not None
    async with backend.hold(early.method) as held:
        one = asyncio.ensure_future(early())
        reached = asyncio.ensure_future(held.reached())
        await asyncio.wait({one, reached}, return_when=asyncio.FIRST_COMPLETED)
        assert reached.done(), f"{early.method} came back before its commit was reached"
        other = asyncio.ensure_future(late())
        for _ in range(3):
            await asyncio.sleep(backend.grace_s / 3)
        held.release()
        return await one, await other


async def _apart(early: Call, late: Call, turns: int) -> tuple[Any, Any]:
    one = asyncio.ensure_future(early())
    for _ in range(turns):
        await asyncio.sleep(0)
    other = asyncio.ensure_future(late())
    return await one, await other
