"""One process of the product: its machine's clock, and its lives, each an engine put together as the application does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from sendwright.app.upkeep import kept_up
from sendwright.drivers.store.memory import MemoryDesk, MemorySwitchboard, MemoryWaiting
from sendwright.drivers.store.memory_directory import MemoryDirectory
from sendwright.drivers.store.memory_ledger import MemoryLedger
from sendwright.drivers.store.memory_suppressions import MemorySuppressions
from sendwright.engine.accept import Accept
from sendwright.engine.account import Account
from sendwright.engine.acquaint import Acquaintance
from sendwright.engine.aside import Aside
from sendwright.engine.deliver import Deliverer
from sendwright.engine.drift import Drift
from sendwright.engine.fleet import Fleet
from sendwright.engine.hands import Flight
from sendwright.engine.hear import Listener
from sendwright.engine.observe import Observer
from sendwright.engine.persist import persist
from sendwright.engine.plan import Planner
from sendwright.engine.repair import Repairer
from sendwright.engine.schedule import Promoter
from sendwright.engine.settle import RetrySettings, Settler
from sendwright.engine.sieve import Sieve
from sendwright.engine.store_time import StoreClock, StoreTime
from sendwright.engine.telling import Attempted, BreakerMoved, Duplicate, Telling, Trouble
from sendwright.engine.worker import Worker
from sendwright.model.ids import IdMint
from sendwright.model.records import Absent, Conflict, Offer, Running, Taken
from sendwright.policy.breaker import BreakerSettings
from sendwright.policy.limit import Reserve, parse_rate
from sendwright.policy.suppression import Marker
from simulation.bus import BusLink
from simulation.doze import Doze
from simulation.draw import pick
from simulation.loop import START_MS, START_S, Callback, owned_by, spawn
from simulation.store import LEDGER, StoreLink
from simulation.vendors import KINDS, ROUTES, SimAdapter, SimEgress

if TYPE_CHECKING:
    from simulation.world import World

RETRY = RetrySettings(attempts_max=5, base_s=1, cap_s=120)
RESERVE = Reserve()
TTL_MS = {"default": 1_800_000, "critical": 300_000}
CONCURRENCY = 60
DRAIN_S = 5.0
MINT = IdMint(b"a secret for simulations, 32 bytes or more")
FIRST_ANSWERS_S = (0.0, 0.01, 0.1)
"""How long it takes until a process that starts has heard the store's time."""
HEARS_S = 0.4
"""How often a process hears it."""


class Machine:
    """What outlives a process: its name and its wall clock, which may be wrong."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.offset_ms = 0
        self.incarnation = 0


class ProcessClock:
    """ports.Clock of one machine. By its wall time nothing is decided."""

    def __init__(self, world: World, machine: Machine) -> None:
        self._loop = world.loop
        self._machine = machine

    def now_ms(self) -> int:
        return true_ms(self._loop.time()) + self._machine.offset_ms

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Life:
    """One incarnation of a process, from its start to its death."""

    def __init__(self, world: World, machine: Machine) -> None:
        machine.incarnation += 1
        self.world = world
        self.machine = machine
        self.name = machine.name
        self.label = f"{machine.name}-{machine.incarnation}"
        self.stopped = False
        self.dead = False
        self.kept: list[Callback] = []
        self.was_paused = False
        self.session_over = False
        self.leaving = False
        self.fuse: int | None = None
        """So many crash points from now it dies."""
        self.pause_before_write_s = 0.0
        self.context = owned_by(self)
        self.context.run(self._put_together)

    def _put_together(self) -> None:
        world, tell, backend = self.world, self._tell, self.world.store
        self._store_clock = StoreClock()
        rng = world.draw.stream(f"clock:{self.label}")
        took_s = pick(rng, FIRST_ANSWERS_S)
        self._heard(took_s, took_s * rng.random())
        world.later(HEARS_S, self.hear)
        self.clock = clock = StoreTime(ProcessClock(world, self.machine), self._store_clock)
        self.drift = drift = Drift(clock, tell)
        self.bus = bus = BusLink(self, world.broker)
        self.ledger: Any = StoreLink(self, MemoryLedger(backend), LEDGER)
        reads = ("due", "tenants", "pull", "parked", "next_due")
        self.waiting: Any = StoreLink(self, MemoryWaiting(backend), ("promoted", "rebase"), reads)
        self.board: Any = StoreLink(self, MemorySwitchboard(backend), ("set", "reorder"), ("read", "orders"))
        directory: Any = StoreLink(self, MemoryDirectory(backend), ("write", "erase"), ("known", "page"))
        desk: Any = StoreLink(self, Desk(world, self.label), ("offer", "stored"))
        dead: Any = StoreLink(self, world.quarantine, ("keep", "tried", "cleared"))
        accounts = [self._account(SimAdapter(kind)) for kind in KINDS]
        self.fleet = fleet = Fleet(accounts, ROUTES, self.board, tell)
        self.promoter = Promoter(self.waiting, self.ledger, bus, fleet, Doze(self, world.waits_wake), tell, drift.held)
        poke = self.promoter.poke
        draw, tokens = world.draw.stream(f"draw:{self.label}"), iter(range(1, 1 << 30))
        settler = Settler(self.ledger, fleet, clock, draw.random, RETRY, tell, poke)
        egress = SimEgress(self, world.vendors)
        deliverer = Deliverer(
            self.ledger,
            fleet,
            egress,
            settler,
            clock,
            lambda: f"{self.label}-{next(tokens)}",
            self.label,
            tell,
            poke,
            drift.held,
        )
        sieve = Sieve(dead, clock, tell, self.label)
        listener = Listener(MemorySuppressions(backend), Marker(), "default", clock, tell)
        self.worker = Worker(
            bus,
            Planner(bus, self.ledger, sieve, fleet, clock, tell, TTL_MS, Acquaintance(directory, Marker()), self.promoter.crowded),
            deliverer,
            Observer(bus, self.ledger, sieve, clock, tell, poke, listener),
            sieve,
            clock,
            tell,
            list(ROUTES),
            Flight(CONCURRENCY, RESERVE),
        )
        self.doze = Doze(self, world.open_wakes)
        self.repairer = Repairer(self.ledger, self.doze, world.alive, fleet.patience, RETRY.attempts_max, tell, poke, drift.held)
        self.doze.repairs = self.repairer
        self.accepting = Accept(desk, MINT, clock, world.draw.stream(f"ids:{self.label}").randbytes, tell, Aside(bus.depth))

    def start(self) -> None:
        self.spawn(self._start())

    async def _start(self) -> None:
        await persist(self.fleet.reload, self.clock, self._tell, "switches")
        await self.repairer.turn()
        self.worker.start()
        for name, run in (("promoter", self.promoter.run), ("repair", self.repairer.run)):
            spawn(self.world.loop, kept_up(name, run, self._tell), self.context)

    def hear(self) -> None:
        """Hears the store's time. It does again and again; what would be no news is left out."""
        if self.dead:
            return
        if self.stopped or not self.world.weather.store_reads(self.name):
            self.world.later(HEARS_S, self.hear)
        else:
            self._heard(0.0, 0.0)
            self.world.woken(self)

    def _heard(self, took_s: float, ago_s: float) -> None:
        """In an answer that took so long, and whose time was read so long ago."""
        now_s = self.world.loop.time()
        self._store_clock.seen(self.world.store_ms() / 1000 - ago_s, now_s - took_s, now_s)

    def spawn(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return spawn(self.world.loop, coro, self.context)

    def kill(self) -> None:
        """kill -9."""
        self.dead = self.stopped = True
        self.world.dead(self)

    def pause(self) -> None:
        """kill -STOP."""
        self.stopped = self.was_paused = True
        self.doze.stopped()

    def resume(self) -> None:
        """kill -CONT."""
        if not self.dead:
            self.stopped = False
            kept, self.kept = self.kept, []
            self.world.loop.again(kept)
            self.doze.look(anyway=True)

    async def pause_here(self) -> None:
        """Stopped with a line in hand and nothing written."""
        seconds, self.pause_before_write_s = self.pause_before_write_s, 0.0
        self.world.pause(self, seconds, "pause_before_write")
        await asyncio.sleep(0)

    async def drain(self) -> None:
        """As it is told to stop: takes nothing more, finishes what it can, and goes."""
        with contextlib.suppress(Exception):
            await self.worker.drain(DRAIN_S)
        self.world.gone(self)

    def _account(self, adapter: SimAdapter) -> Account:
        settings = adapter.settings
        return Account(
            adapter,
            concurrency=settings.concurrency,
            rate=parse_rate(settings.rate) if settings.rate else None,
            breaker=BreakerSettings(failures=4, calls_min=10),
            reserve=RESERVE,
            callback_base=f"http://hooks.example/v1/hooks/{adapter.name}" if adapter.capabilities.receipts else None,
        )

    def _tell(self, telling: Telling) -> None:
        if self.dead:
            return
        match telling:
            case Duplicate(why):
                self.world.note(self.label, f"refused_{why}")
            case BreakerMoved(provider, state, _):
                self.world.note(self.label, f"breaker_{state}", provider)
            case Attempted(_, provider, outcome, _):
                self.world.note(self.label, f"outcome_{outcome}", provider)
            case Trouble(where, what):
                self.world.troubled(self, where, what)
            case _:
                pass


class Desk(MemoryDesk):
    """The desk, and a word to the oracle."""

    def __init__(self, world: World, label: str) -> None:
        super().__init__(world.store, world.broker, label)  # type: ignore[arg-type]  # it puts, as the bus in memory does
        self._world = world

    async def offer(self, offer: Offer) -> Taken | Conflict | Running | Absent:
        self._world.oracle.offered.add(offer.id)
        return await super().offer(offer)


def true_ms(loop_s: float) -> int:
    return START_MS + int((loop_s - START_S) * 1000 + 1e-4)
