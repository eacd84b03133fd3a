"""The SQS bus under test, over moto and over the strict fake of our own. Beside it lies a memory store."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

from sendwright.drivers.bus.sqs.address import SqsAddress
from sendwright.drivers.bus.sqs.bus import SqsBus, open_sqs
from sendwright.drivers.bus.sqs.checkroom import MemoryCheckroom
from sendwright.drivers.store.memory import MemoryBackend
from tests.conformance.builders import ManualClock
from tests.conformance.sqs_fake import SqsFake

VISIBILITY_S = 2
_NUMBERS = itertools.count(1)
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


def address_for(endpoint: str, **changed: Any) -> SqsAddress:
    """Short times, and a prefix of its own."""
    given: dict[str, Any] = {"visibility_s": VISIBILITY_S, "wait_s": 1, "survey_s": 0.5, "prefix": f"t{next(_NUMBERS)}-", **changed}
    return SqsAddress(region="eu-central-1", endpoint=endpoint, **given)


@contextmanager
def credentials() -> Iterator[None]:
    with mock.patch.dict(os.environ, _CREDENTIALS):
        yield


class _Sqs:
    ordered = False
    """A standard queue keeps no order between its messages, so the parcels of a call only keep theirs within a bundle."""
    grace_s = 0.0
    sees_lanes = False
    hold = None

    def __init__(self, name: str, address: SqsAddress, bus: SqsBus, backend: MemoryBackend, stack: AsyncExitStack) -> None:
        self.name, self.bus = name, bus
        self._address, self._backend, self._stack = address, backend, stack
        self.desk, self.ledger, self.waiting = backend.desk, backend.ledger, backend.waiting
        self.records, self.switchboard, self.sweeper = backend.records, backend.switchboard, backend.sweeper

    async def restart(self) -> _Sqs:
        """A new bus over the same queues, when what the old one held is nobody's any more."""
        lanes = list(self.bus._lanes)
        await self.bus.close(abruptly=True)
        await asyncio.sleep(VISIBILITY_S + 0.1)
        again = await self.beside()
        await again.bus.survey(lanes)
        return again

    async def beside(self) -> _Sqs:
        bus = await self._stack.enter_async_context(open_sqs(self._address, MemoryCheckroom()))
        return _Sqs(self.name, self._address, bus, self._backend, self._stack)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def _opened(name: str, endpoint: str) -> AsyncIterator[_Sqs]:
    async with AsyncExitStack() as stack:
        stack.enter_context(credentials())
        address = address_for(endpoint)
        bus = await stack.enter_async_context(open_sqs(address, MemoryCheckroom()))
        yield _Sqs(name, address, bus, MemoryBackend(ManualClock()), stack)


@asynccontextmanager
async def sqs_fake() -> AsyncIterator[_Sqs]:
    async with SqsFake() as fake, _opened("sqs_fake", fake.url) as under_test:
        yield under_test


_MOTO: list[str] = []


def moto_url() -> str:
    """Moto's server in a thread, one for all tests of the process: it takes seconds to start."""
    if not _MOTO:
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        _MOTO.append("http://{}:{}".format(*server.get_host_and_port()))
    return _MOTO[0]


@asynccontextmanager
async def sqs_moto() -> AsyncIterator[_Sqs]:
    async with _opened("sqs_moto", await asyncio.to_thread(moto_url)) as under_test:
        yield under_test
