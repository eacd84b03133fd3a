"""The races of test_races.py, test_races_evidence.py and test_races_people.py between two processes over one PostgreSQL database.

Each call of the ledger, the waiting table, the desk, the switchboard, the directory, the inboxes or the suppressions is made by the
other process than the one before: so what races there in one process's flushes races here on connections that know nothing of one
another.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from sendwright.drivers.bus.memory import MemoryBus
from tests.conformance import test_races, test_races_evidence, test_races_people
from tests.conformance.backends import Held, TaskGate, UnderTest, on_postgres
from tests.conformance.builders import ManualClock
from tests.conformance.postgres_server import empty_postgres, make_postgres
from tests.conformance.racing import INTERLEAVINGS, spelled

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("order", INTERLEAVINGS, ids=spelled)]

for _name, _test in (vars(test_races) | vars(test_races_evidence) | vars(test_races_people)).items():
    if _name.startswith("test_"):
        globals()[_name] = _test


class _InTurn:
    """Calls go to one of several in turn."""

    def __init__(self, parts: list[Any]) -> None:
        self._parts = itertools.cycle(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._parts), name)


class _Two:
    """Two processes, one of which is asked in turn. Both are the same holder of leases, as the suites look at waits twice."""

    name = "postgres"
    grace_s = 0.05
    sees_lanes = True

    def __init__(self, backends: list[Any], bus: MemoryBus) -> None:
        self._backends = backends
        self.bus = bus
        self.ledger = _InTurn([backend.ledger for backend in backends])
        self.waiting = _InTurn([backend.waiting for backend in backends])
        self.desk = _InTurn([backend.desk for backend in backends])
        self.switchboard = _InTurn([backend.switchboard for backend in backends])
        self.directory = _InTurn([backend.directory for backend in backends])
        self.suppressions = _InTurn([backend.suppressions for backend in backends])
        self.inbox = _InTurn([backend.inbox for backend in backends])
        self.endpoints = _InTurn([backend.endpoints for backend in backends])
        self.records, self.sweeper = backends[0].records, backends[0].sweeper

    async def restart(self) -> UnderTest:
        raise NotImplementedError

    async def pass_time(self, seconds: float) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def hold(self, method: str) -> AsyncIterator[Held]:
        gate = TaskGate()

        async def stop(entered: str) -> None:
            if entered == method and not gate.stands.is_set():
                gate.stands.set()
                await gate.open.wait()

        for backend in self._backends:
            backend.connections.before_commit = stop
        try:
            yield gate
        finally:
            gate.release()
            for backend in self._backends:
                backend.connections.before_commit = None


@pytest.fixture
async def backend() -> AsyncIterator[Any]:
    await make_postgres()
    clock = ManualClock()
    bus = MemoryBus(clock)
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(on_postgres(bus, clock, process="one-of-two")) for _ in range(2)]
        await backends[0].connections.writing(empty_postgres)
        yield _Two(backends, bus)
