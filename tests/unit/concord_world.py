"""Processes that share a provider through a store some milliseconds away, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.drivers.store.memory_accord import MemoryAccord
from sendwright.engine.account import Account
from sendwright.engine.concord import Concord
from sendwright.engine.fleet import Fleet
from sendwright.engine.roll import LEASE_S
from sendwright.engine.telling import Telling
from sendwright.errors import StoreDown
from sendwright.model.accord import Bar, Block, Change, Picture, Standing
from sendwright.model.notices import Notice
from sendwright.model.notification import Priority
from sendwright.policy.breaker import BreakerSettings, Health, State
from sendwright.policy.limit import Reserve, parse_rate

from .engine_world import Vendor
from .scripted_vendor import Scripted
from .virtual_time import VirtualClock

TURN_S = 0.4
WAIT_S = 0.5


class _Way:
    """A store some milliseconds away, which may be down."""

    def __init__(self, accord: MemoryAccord) -> None:
        self._accord = accord
        self.down = False
        self.leases = 0
        self.moves = 0
        self.lost_answers = 0
        """So many changes are made of which nobody hears."""

    async def lease(self, provider: str, want: int, cell_s: float, reach_s: float, *, urgent: bool) -> Block:
        self.leases += 1
        await self._travel()
        block = await self._accord.lease(provider, want, cell_s, reach_s, urgent=urgent)
        await self._travel()
        return block

    async def move(
        self, provider: str, version: int, change: Change, *, when_due: bool = False, notices: Sequence[Notice] = ()
    ) -> Bar | None:
        self.moves += 1
        await self._travel()
        bar = await self._accord.move(provider, version, change, when_due=when_due, notices=notices)
        if bar is not None and self.lost_answers > 0:
            self.lost_answers -= 1
            raise StoreDown("the answer was lost", maybe=True)
        await self._travel()
        return bar

    async def exchange(self, process: str, news: Sequence[Standing], lease_s: float) -> Picture:
        await self._travel()
        picture = await self._accord.exchange(process, news, lease_s)
        await self._travel()
        return picture

    async def _travel(self) -> None:
        await asyncio.sleep(0.004)
        if self.down:
            raise StoreDown("down")


class Process:
    def __init__(self, name: str, house: House, *, sends: bool = True) -> None:
        clock = VirtualClock()
        self.name = name
        self.way = _Way(house.accord)
        self.told: list[Telling] = []
        self.account = Account(
            Scripted(Vendor("vendor", timeout_s=4)),
            concurrency=house.concurrency,
            rate=parse_rate(house.rate) if house.rate else None,
            breaker=BreakerSettings(),
            reserve=Reserve(),
            callback_base=None,
        )
        board = MemoryBackend(clock).switchboard
        self.fleet = Fleet([self.account], {"sms": [self.account.name]}, board, self.told.append)
        self.concord = Concord(self.way, name, self.fleet, clock, self.told.append, sends=sends)
        self.clock = clock

    async def run(self) -> None:
        while True:
            await self.concord.look()
            await asyncio.sleep(TURN_S)

    def note(self, health: Health, count: int = 1, probe: int = 0) -> None:
        for _ in range(count):
            self.fleet.note(self.account, health, self.clock.monotonic(), probe=probe)

    @property
    def state(self) -> State:
        return self.account.breaker.state


class House:
    """Processes over one store, whose clock shows another time than theirs."""

    def __init__(self, rate: str | None = None, concurrency: int = 1000) -> None:
        self.rate = rate
        self.concurrency = concurrency
        self.notices: list[Notice] = []
        """What the operator is told."""
        self.accord = MemoryAccord(_Ahead(), keep=self.notices.extend)
        self.processes: list[Process] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.calls: list[float] = []

    def spawn(self, name: str, *, sends: bool = True) -> Process:
        process = Process(name, self, sends=sends)
        self.processes.append(process)
        self.tasks += [asyncio.create_task(process.run()), asyncio.create_task(self._beat(name))]
        return process

    async def _beat(self, name: str) -> None:
        while True:
            await self.accord.beat(name, LEASE_S)
            await asyncio.sleep(2)

    def demand(self, process: Process, lines: int = 40, priority: Priority = Priority.NORMAL) -> None:
        """So many messages always wait in this process; each has its turn, or gives up after half a second."""

        async def one() -> None:
            while True:
                slot = await process.account.take(priority, process.clock, WAIT_S)
                if slot is None:
                    await asyncio.sleep(0.1)  # parked
                    continue
                self.calls.append(process.clock.monotonic())
                slot.used = True
                slot.release()

        self.tasks += [asyncio.create_task(one()) for _ in range(lines)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes:
            process.concord.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class _Ahead(VirtualClock):
    def monotonic(self) -> float:
        return super().monotonic() + 5_000_000
