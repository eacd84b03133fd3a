"""All of it together: a seed becomes a world, an hour or some days pass in it, and a verdict comes out."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from sendwright.model.notification import Priority
from simulation import points, rest
from simulation.bus import Broker
from simulation.callers import Callers, bursts
from simulation.doze import Doze
from simulation.draw import CLOCK_WRONG, HOUR_S, LIFE_FAULTS, STORE_CLOCK, Draw, pick
from simulation.loop import START_MS, START_S, Callback, HotLoopError, SimLoop, StuckError, owned_by, spawn
from simulation.oracle import Oracle
from simulation.process import HEARS_S, Life, Machine, true_ms
from simulation.quarantine import Quarantine
from simulation.receipts import Receipts
from simulation.store import SimStore
from simulation.story import Trace
from simulation.vendors import KINDS, SimVendor
from simulation.weather import Weather, Window

PROCESSES = ("p1", "p2", "p3")
TAIL = 40
"""Lines of its trace that a broken seed shows."""
LEASE_S = 15.0
"""A life that was silent for so long is declared dead, for good."""
BEAT_S = 3.0
"""So often it would have beaten: within that time one that goes on finds itself declared dead, and makes room for another."""
SESSION_S = (10.0, 20.0, 60.0)
PAUSES_S = (0.3, 2.0, 8.0, 14.0, 20.0, 60.0, 240.0)
JUMPS_MS = (7_000, 90_000, 3_600_000, 86_400_000)
LIFE_FAULTS_PER_BURST = 2
HARMLESS = ("StoreDown", "BusDown")
OPENS_S = 1.0
"""A process that does not reach the store when it starts is started again after this time."""
TROUBLES = ("the store can't be reached", "no answer of the store", "the broker can't be reached", "no confirm")
STEPPED = "the wall clock moved"


class Broken(NamedTuple):
    """An invariant that does not hold."""

    invariant: str
    what: str


class Verdict(NamedTuple):
    """What came of a seed."""

    seed: int
    broken: tuple[Broken, ...]
    seen: Counter[str]
    hash: str
    cpu_s: float
    tail: tuple[str, ...]
    messages: int


class World:
    """One simulation. Everything in it is reached from here."""

    def __init__(self, seed: int, days: float = 1 / 24) -> None:
        self.draw = draw = Draw(seed)
        self.loop = SimLoop()
        self.trace = Trace()
        self.broken: list[Broken] = []
        self.over = self.loop.create_future()
        self._context = owned_by(None)
        self._rng = draw.stream("lives")
        self._ends_s = START_S + days * 24 * HOUR_S
        at_s = bursts(draw, days)
        self.weather = Weather(draw, at_s, PROCESSES, [kind.name for kind in KINDS])
        self.oracle = Oracle(self)
        self.store = SimStore(self.oracle.committing, self._committed)
        self.broker = Broker(self)
        self.quarantine = Quarantine()
        self.vendors = {kind.name: SimVendor(self, kind) for kind in KINDS}
        self.receipts = Receipts(self)
        self.dozing: dict[Doze, None] = {}
        self.dozing_repairers: dict[Doze, None] = {}
        self._stirred = False
        self._waits: tuple[int | None, set[tuple[str, Priority]]] | None = None
        self._dead: set[str] = set()
        self.store_offset_ms = 0
        self.store_clock_moved = False
        self.calm = False
        self._machines = {name: Machine(name) for name in PROCESSES}
        self.lives: dict[str, Life] = {}
        self.callers = Callers(self, at_s)
        self._bursts = at_s

    # Time and what happens

    def later(self, delay_s: float, what: Callable[..., Any], *args: Any) -> Callback:
        """A timer of the world's own: it rings whoever lives or dies."""
        return self.loop.call_at(self.loop._now_s + delay_s, what, *args, context=self._context)

    def at(self, when_s: float, what: Callable[..., Any], *args: Any) -> Callback:
        return self.loop.call_at(max(when_s, self.loop._now_s), what, *args, context=self._context)

    def spawn(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.loop.world_task(coro, self._context)

    def line(self, who: str, what: str, *about: object) -> None:
        self.trace.add(self.loop._now_s, who, what, *about)

    def note(self, who: str, what: str, *about: object) -> None:
        self.trace.note(self.loop._now_s, who, what, *about)

    def fail(self, invariant: str, what: str) -> None:
        """An invariant does not hold: the seed is over."""
        self.broken.append(Broken(invariant, what))
        self.line("oracle", invariant, what)
        if not self.over.done():
            self.over.set_result(None)

    def troubled(self, life: Life, where: str, what: str) -> None:
        """Trouble that the faults do not explain is a fault of the product."""
        self.trace.seen["trouble"] += 1
        expected = (*TROUBLES, STEPPED) if self.store_clock_moved else TROUBLES
        if not what.startswith(expected) and not what.endswith(HARMLESS):
            self.fail("I9", f"{life.label}: trouble in {where}: {what}")

    # Who lives

    def alive(self, owner: str) -> bool:
        return owner not in self._dead

    def some_life(self, rng: random.Random) -> Life | None:
        living = [life for life in self.lives.values() if not life.dead]
        return pick(rng, living) if living else None

    def killed_at(self, life: Life, point: str) -> None:
        self.note(life.label, "crash", point)
        self.trace.seen[f"at:{point}"] += 1
        self._killed(life)

    def gone(self, life: Life) -> None:
        """It ended by itself, or was found to be declared dead: its place is free at once."""
        if not life.dead:
            life.kill()
            self.broker.session_lost(life)
            self._declare(life)
            self._start(life.machine)

    def pause(self, life: Life, seconds: float, kind: str) -> None:
        if life.stopped:
            return
        self.note(life.label, kind, seconds)
        life.pause()
        ends_s = self.loop.time() + seconds
        session_s = pick(self._rng, SESSION_S)
        if session_s < seconds:
            self.later(session_s, self.broker.session_lost, life)
        if seconds > LEASE_S:
            self.later(LEASE_S, self._declare, life)
        self.at(ends_s, self._resume, life)

    def _resume(self, life: Life) -> None:
        if life.dead or not life.stopped:
            return
        self.note(life.label, "resumed")
        life.resume()
        if life.session_over:
            self.broker.session_back(life)
        if not self.alive(life.label):
            self.note(life.label, "zombie")
            self.later(self._rng.uniform(0.0, BEAT_S), self.gone, life)

    def _killed(self, life: Life) -> None:
        life.kill()
        self.later(self._rng.uniform(0.0, 8.0), self.broker.session_lost, life)
        self.later(LEASE_S, self._declare, life)
        self.later(pick(self._rng, (0.2, 3.0, 20.0)), self._start, life.machine)

    def _declare(self, life: Life) -> None:
        self._dead.add(life.label)
        self._wake()

    def _start(self, machine: Machine) -> None:
        before = self.lives.get(machine.name)
        if not self.weather.store_reads(machine.name):
            self.later(OPENS_S, self._start, machine)
        elif before is None or before.dead:
            self.lives[machine.name] = life = Life(self, machine)
            self.note(life.label, "started")
            life.start()

    # What goes wrong with them

    def _fault(self, fault: str, name: str) -> None:
        life = self.lives[name]
        if self.calm or life.dead:
            return
        match fault:
            case "crash":
                life.fuse = 1 + int(self._rng.random() ** 3 * 300)
            case "crash_all":
                self.note("all", "crash_all")
                for one in self.lives.values():
                    if not one.dead:
                        self._killed(one)
            case "drain":
                if not life.stopped:
                    self.note(life.label, "drain")
                    spawn(self.loop, life.drain(), life.context)
            case "pause":
                self.pause(life, pick(self._rng, PAUSES_S), "pause")
            case "pause_before_write":
                life.pause_before_write_s = pick(self._rng, PAUSES_S)
            case _:
                self._jump(life.machine, fault)

    def _jump(self, machine: Machine, fault: str) -> None:
        """Of a machine's wall clock, or of the store's; which is set right again, or not."""
        ahead = self._rng.random() < 0.5 if fault == STORE_CLOCK else fault == "clock_ahead"
        by_ms = pick(self._rng, JUMPS_MS) * (1 if ahead else -1)
        if fault == STORE_CLOCK:
            self.note("store", fault, by_ms)
            step: Callable[[int], None] = self._set_store_clock
        else:
            self.note(machine.name, fault, by_ms)
            step = partial(setattr, machine, "offset_ms")
        step(by_ms)
        if self._rng.random() < 0.6:
            self.later(pick(self._rng, (5.0, 40.0, 300.0)), step, 0)

    def store_ms(self) -> int:
        """What the store's clock shows."""
        return true_ms(self.loop._now_s) + self.store_offset_ms

    def _set_store_clock(self, offset_ms: int) -> None:
        """Each process hears of it with its next answer."""
        self.store_clock_moved = True
        self.store_offset_ms = offset_ms
        for life in self.lives.values():
            self.later(self._rng.uniform(0.0, HEARS_S), life.hear)

    def _turn(self, window: Window, begins: bool) -> None:
        if self.calm:
            return
        (self.weather.begin if begins else self.weather.end)(window)
        self.line("weather", window.fault, "begins" if begins else "ends", window.whom)
        if window.fault == "bus_down":
            if begins:
                self.note("bus", "bus_down")
            self.broker.set_down(down=begins)
        if window.fault in {"store_down", "store_cut"}:
            self._wake()
        if window.fault == "flaps" and begins:
            self.note(window.whom, "flaps")

    # Who dozes

    def waits_wake(self, life: Life) -> float | None:
        """When the promoter of this life would find something."""
        now_s, offset_ms = self.loop._now_s, life.clock.now_ms() - true_ms(self.loop._now_s)
        if self._waits is None:
            self._waits = self._looked_at()
        earliest, parked = self._waits
        found = [] if earliest is None else [START_S + (earliest - START_MS - offset_ms) / 1000]
        for channel, priority in parked:
            if life.fleet.opens_in_s(channel, priority, now_s) is not None or not life.fleet.route(channel):
                return now_s
            opens = (account.opens_at() for account in life.fleet.route(channel))
            found.extend(at for at in opens if at is not None)
        held_s = life.drift._until or 0.0
        if not life.promoter._rebased:
            return max(now_s, held_s)
        return None if not found else max(min(found), held_s)

    def _looked_at(self) -> tuple[int | None, set[tuple[str, Priority]]]:
        """The earliest due time of all that waits, and the channels and priorities of what is parked."""
        rows = self.store.tables.waits.rows.values()
        earliest = min((row.wait.due_at for row in rows if row.wait.due_at is not None), default=None)
        return earliest, {(row.wait.key.partition(":")[2], row.priority) for row in rows if row.wait.key != "time"}

    def open_wakes(self, _life: Life) -> float | None:
        """When the repairer would: while anything is open it looks."""
        return self.loop._now_s if self.store.tables.open.rows else None

    def _committed(self, waits: bool, opened: bool) -> None:
        if waits:
            self._waits = None
        if not self._stirred and ((waits and self.dozing) or (opened and self.dozing_repairers)):
            self._stirred = True
            self.loop.call_soon(self._stir, context=self._context)

    def _stir(self) -> None:
        self._stirred = False
        for dozer in list(self.dozing):
            dozer.look()
        if self.store.tables.open.rows:
            for dozer in list(self.dozing_repairers):
                if not dozer.alarmed:  # else it looks at its next turn
                    dozer.look()

    def dead(self, life: Life) -> None:
        """Nobody of it dozes any more."""
        for dozing in (self.dozing, self.dozing_repairers):
            for dozer in [dozer for dozer in dozing if dozer.of(life)]:
                dozer.over()
                del dozing[dozer]

    def woken(self, life: Life) -> None:
        """Something changed for this one: it looks at its next turn."""
        for dozer in [*self.dozing, *self.dozing_repairers]:
            if dozer.of(life):
                dozer.look(anyway=True)

    def _wake(self) -> None:
        """Something else than the store's rows changed: everybody looks at the next turn."""
        for dozer in [*self.dozing, *self.dozing_repairers]:
            dozer.look(anyway=True)

    # From beginning to end

    def run(self) -> None:
        self._plan()
        try:
            with points.bent():
                self.loop.run_until_complete(self.over)
        except HotLoopError as error:
            self.broken.append(Broken("I8", str(error)))
        except StuckError as error:
            self.broken.append(Broken("I9", str(error)))

    def _plan(self) -> None:
        for machine in self._machines.values():
            if CLOCK_WRONG in self.draw.has and self._rng.random() < 0.7:
                machine.offset_ms = pick(self._rng, JUMPS_MS) * pick(self._rng, (1, -1))
                self.note(machine.name, CLOCK_WRONG, machine.offset_ms)
            self._start(machine)
        for window in self.weather.windows:
            self.at(window.begins_s, self._turn, window, True)  # noqa: FBT003
            self.at(window.ends_s, self._turn, window, False)  # noqa: FBT003
        known = [fault for fault in LIFE_FAULTS if fault in self.draw.has]
        for burst_s in self._bursts if known else ():
            for _ in range(LIFE_FAULTS_PER_BURST):
                self.at(burst_s + self._rng.uniform(-5, 12), self._fault, pick(self._rng, known), pick(self._rng, PROCESSES))
            self.at(burst_s + self._rng.uniform(60, 300), self.spawn_doubts)
        self.callers.begin()
        self.at(self._ends_s, self._calm)

    def spawn_doubts(self) -> None:
        if not self.calm:
            self.spawn(self.callers.look_at_doubts())

    def _calm(self) -> None:
        """No more faults: everybody lives, everything can be reached, clocks are right."""
        self.calm = True
        self.line("world", "calm")
        self.weather.clear()
        self.receipts.calm()
        self.broker.set_down(down=False)
        if self.store_offset_ms:
            self._set_store_clock(0)
        for machine in self._machines.values():
            machine.offset_ms = 0
            life = self.lives[machine.name]
            life.fuse, life.pause_before_write_s = None, 0.0
            if life.stopped and not life.dead:
                self._resume(life)
            self._start(machine)
        self._wake()
        self.spawn(rest.judge(self))


_ROUNDS = 3
"""What ends lets go of more; and what is left when a seed is over, the next one takes for its own ground, where nobody looks."""


def simulate(seed: int, days: float = 1 / 24, tail: int | None = TAIL) -> Verdict:
    """One seed, from its beginning to its verdict, with the last lines of its trace; None: all of them."""
    began = time.process_time()
    with _tearing_down_in_silence():
        world = World(seed, days)
        world.run()
        verdict = Verdict(
            seed,
            tuple(world.broken),
            world.trace.seen,
            world.trace.hash(),
            0.0,
            tuple(world.trace.lines(tail)),
            len(world.store.tables.messages.rows),
        )
        world.loop.close()
        del world
        for _ in range(_ROUNDS):
            gc.collect()
    return verdict._replace(cpu_s=time.process_time() - began)


@contextmanager
def _tearing_down_in_silence() -> Iterator[None]:
    """What the dead leave behind is torn down after the verdict, and nobody listens to what it says then: coroutines that had
    not begun, and others that do not want to end."""
    collecting, hook = gc.isenabled(), sys.unraisablehook
    gc.disable()
    gc.freeze()
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook = hook
        gc.unfreeze()
        if collecting:
            gc.enable()
