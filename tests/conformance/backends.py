"""The backends under test, and what a test may do to them beside their ports.

To add one, write an async context manager that yields an `UnderTest` and put it in `BACKENDS`; the suites need no change.
`restart` simulates kill -9 and a new start over the same storage. `hold` is optional: it stops the next call of one port
method inside its transaction, when all is written and nothing is committed, which is where races live.
"""

from __future__ import annotations

import asyncio
import functools
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import apsw
import pytest

from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.bus.rabbitmq import RabbitBus
from sendwright.drivers.clustered import PostgresBackend, open_postgres
from sendwright.drivers.embedded import SqliteBackend, open_sqlite, opened
from sendwright.drivers.store.memory import MemoryBackend
from sendwright.engine.people import Directory, Suppressions
from sendwright.engine.ports import (
    Bus,
    Credentials,
    Endpoints,
    Inbox,
    IntakeDesk,
    KeyRing,
    Layouts,
    Ledger,
    Stands,
    Sweeper,
    Switchboard,
    Types,
    Waiting,
)
from sendwright.model.records import Audit
from sendwright.web.api.services import Sessions, Shown
from tests.conformance import rabbit
from tests.conformance.builders import MARKER, ManualClock
from tests.conformance.postgres_server import UNSYNCED, empty_postgres, make_postgres, postgres_url
from tests.conformance.sqs_backends import sqs_fake, sqs_moto


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
    records: Shown
    switchboard: Switchboard
    keyring: KeyRing
    inbox: Inbox
    sessions: Sessions
    endpoints: Endpoints
    credentials: Credentials
    stands: Stands | None
    sweeper: Sweeper
    directory: Directory
    suppressions: Suppressions
    types: Types
    layouts: Layouts
    hold: Callable[[str], AbstractAsyncContextManager[Held]] | None
    """None where a transaction can't be held open."""
    grace_s: float
    """How long a call that was started needs to come to where it has to queue or block."""
    sees_lanes: bool
    """The recount can look into the lanes, so that it knows which parcels are under way."""

    async def restart(self) -> UnderTest: ...

    async def beside(self) -> UnderTest:
        """Another process, while this one lives; where one process has the storage to itself, the next one."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Lets the time pass that the bus sees."""
        ...


class _Memory:
    name = "memory"
    grace_s = 0.0
    sees_lanes = True

    def __init__(self, backend: MemoryBackend, clock: ManualClock) -> None:
        self._backend = backend
        self._clock = clock
        self.bus, self.desk, self.ledger = backend.bus, backend.desk, backend.ledger
        self.waiting, self.records, self.switchboard = backend.waiting, backend.records, backend.switchboard
        self.sweeper, self.keyring, self.inbox = backend.sweeper, backend.keyring, backend.inbox
        self.directory, self.suppressions = backend.directory, backend.suppressions
        self.sessions = backend.sessions
        self.types = backend.types
        self.layouts = backend.layouts
        self.endpoints = backend.endpoints
        self.credentials: Credentials = backend.credentials
        self.stands: Stands | None = backend.stands

    async def restart(self) -> UnderTest:
        return _Memory(await self._backend.restart(), self._clock)

    async def beside(self) -> UnderTest:
        return await self.restart()

    async def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    @asynccontextmanager
    async def hold(self, method: str) -> AsyncIterator[Held]:
        gate = TaskGate()

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


class TaskGate:
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
    yield _Memory(MemoryBackend(clock, marker=MARKER), clock)


class _Sqlite:
    name = "sqlite"
    grace_s = 0.0
    sees_lanes = True

    def __init__(self, backend: SqliteBackend, stack: AsyncExitStack) -> None:
        self._backend = backend
        self._stack = stack
        self.bus, self.desk, self.ledger = backend.bus, backend.desk, backend.ledger
        self.waiting, self.records, self.switchboard = backend.waiting, backend.records, backend.switchboard
        self.sweeper, self.keyring, self.inbox = backend.sweeper, backend.keyring, backend.inbox
        self.directory, self.suppressions = backend.directory, backend.suppressions
        self.sessions = backend.sessions
        self.types = backend.types
        self.layouts = backend.layouts
        self.endpoints = backend.endpoints
        self.credentials: Credentials = backend.credentials
        self.stands: Stands | None = backend.stands

    async def restart(self) -> UnderTest:
        """Opens a copy of the files as they lie on the disk now, which is what a kill would leave."""
        path = self._backend.path
        copied = path.parent / f"{path.stem}x.db"
        for suffix in ("", "-wal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{copied}{suffix}")
        return _Sqlite(await self._stack.enter_async_context(open_sqlite(copied, marker=MARKER)), self._stack)

    async def beside(self) -> UnderTest:
        return await self.restart()

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


_FOLDER = tempfile.TemporaryDirectory(prefix="sendwright-test-")


@functools.cache
def _empty_file() -> Path:
    """A store's file without anything in it: a copy of it costs a seventh of making one."""
    path = Path(_FOLDER.name) / "empty.db"
    db = opened(path)
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    db.close()
    return path


@asynccontextmanager
async def sqlite() -> AsyncIterator[UnderTest]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(_empty_file(), path := Path(folder) / "a.db")
        async with AsyncExitStack() as stack:
            yield _Sqlite(await stack.enter_async_context(open_sqlite(path, marker=MARKER)), stack)


class _Postgres:
    """One database for all tests of a process, emptied before each; the memory bus stands for the broker."""

    name = "postgres"
    grace_s = 0.05
    sees_lanes = True

    def __init__(self, backend: PostgresBackend, bus: MemoryBus, clock: ManualClock, stack: AsyncExitStack) -> None:
        self.backend = backend
        self._clock = clock
        self._stack = stack
        self._lanes = bus
        self.bus, self.desk, self.ledger = backend.bus, backend.desk, backend.ledger
        self.waiting, self.switchboard, self.sweeper = backend.waiting, backend.switchboard, backend.sweeper
        self.keyring, self.inbox = backend.keyring, backend.inbox
        self.directory, self.suppressions = backend.directory, backend.suppressions
        self.sessions = backend.sessions
        self.types = backend.types
        self.layouts = backend.layouts
        self.endpoints = backend.endpoints
        self.credentials: Credentials = backend.credentials
        self.stands: Stands | None = backend.stands
        self.records: Shown = _Counted(backend)

    async def restart(self) -> UnderTest:
        """A kill, some time after what is done lazily: the processes report their counts each half second."""
        await self.backend.desk.flush()
        bus = MemoryBus(self._clock, self._lanes.kill())
        return _Postgres(await self._stack.enter_async_context(on_postgres(bus, self._clock)), bus, self._clock, self._stack)

    async def beside(self) -> UnderTest:
        opened = await self._stack.enter_async_context(on_postgres(self._lanes, self._clock))
        return _Postgres(opened, self._lanes, self._clock, self._stack)

    async def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    @asynccontextmanager
    async def hold(self, method: str) -> AsyncIterator[Held]:
        gate = TaskGate()

        async def stop(entered: str) -> None:
            if entered == method and not gate.stands.is_set():
                gate.stands.set()
                await gate.open.wait()

        self.backend.connections.before_commit = stop
        try:
            yield gate
        finally:
            gate.release()
            self.backend.connections.before_commit = None


class _Counted:
    """The records, which recount once the accepting process has reported its count."""

    def __init__(self, backend: PostgresBackend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend.records, name)

    async def audit(self) -> Audit:
        await self._backend.desk.flush()
        return await self._backend.records.audit()


CONNECTIONS_MAX = 6
"""Half of what a process has: the tests of several workers share what one server allows."""


def on_postgres(bus: MemoryBus, clock: ManualClock, **options: Any) -> AbstractAsyncContextManager[PostgresBackend]:
    """Another process over the tests' database."""
    in_flight: Any = lambda: list(bus.undone())  # noqa: E731
    return open_postgres(
        postgres_url(),
        bus=bus,
        now_ms=clock.now_ms,
        in_flight=in_flight,
        settings=UNSYNCED,
        marker=MARKER,
        connections_max=CONNECTIONS_MAX,
        **options,
    )


@asynccontextmanager
async def postgres() -> AsyncIterator[UnderTest]:
    await make_postgres()
    clock = ManualClock()
    bus = MemoryBus(clock)
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(on_postgres(bus, clock))
        await backend.connections.writing(empty_postgres)
        yield _Postgres(backend, bus, clock, stack)


class _Rabbit(_Memory):
    """The bus on a broker, everything else in memory."""

    name = "rabbitmq"
    sees_lanes = False

    def __init__(self, place: rabbit.Place, bus: RabbitBus, stack: AsyncExitStack) -> None:
        clock = ManualClock()
        super().__init__(MemoryBackend(clock), clock)
        self._place = place
        self._stack = stack
        self.bus: Bus = bus

    async def restart(self) -> UnderTest:
        await self._place.kill(self.bus)
        return await self.beside()

    async def beside(self) -> UnderTest:
        return _Rabbit(self._place, await self._stack.enter_async_context(self._place.open(self._place.lanes)), self._stack)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def rabbitmq() -> AsyncIterator[UnderTest]:
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(rabbit.place())
        yield _Rabbit(place, await stack.enter_async_context(place.open()), stack)


BACKENDS: list[Any] = [memory, sqlite, pytest.param(postgres, marks=pytest.mark.slow)]
BUSES: list[Any] = [memory, sqlite, *(pytest.param(broker, marks=pytest.mark.slow) for broker in (rabbitmq, sqs_fake, sqs_moto))]
"""PostgreSQL is no bus."""


def every_backend() -> Any:
    """The fixture `backend` of a suite: `backend = every_backend()` at the top of its module."""
    return _fixture_over(BACKENDS)


def every_bus() -> Any:
    """The same for what is asked of the bus alone."""
    return _fixture_over(BUSES)


def _fixture_over(params: list[Any]) -> Any:
    @pytest.fixture(params=params, ids=lambda opened: opened.__name__)
    async def backend(request: pytest.FixtureRequest) -> AsyncIterator[UnderTest]:
        async with request.param() as opened:
            yield opened

    return backend
