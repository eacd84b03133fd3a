"""A world for the engine's tests: the real stories over the store in memory, in a time that passes only when all is idle.

A `World` wires the parts as the application does; when a test leaves it, the store is recounted, every line must have been
given back and no taker may have died. virtual_time.py is its clock, scripted_vendor.py the other end of its lines.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Self

import msgspec

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.engine.accept import Accept
from sendwright.engine.account import Account
from sendwright.engine.acquaint import Acquaintance
from sendwright.engine.aside import Aside
from sendwright.engine.bulletin import Bulletin
from sendwright.engine.deliver import Deliverer
from sendwright.engine.fleet import Fleet
from sendwright.engine.hands import Flight
from sendwright.engine.hear import Listener
from sendwright.engine.inquire import Inquirer
from sendwright.engine.observe import Observer
from sendwright.engine.plan import Planner
from sendwright.engine.ports import Delivery
from sendwright.engine.render import link_in
from sendwright.engine.repair import Repairer
from sendwright.engine.respond import Responder
from sendwright.engine.schedule import Promoter
from sendwright.engine.settle import RetrySettings, Settler
from sendwright.engine.sieve import Sieve
from sendwright.engine.telling import Telling
from sendwright.engine.tokens import Tokens
from sendwright.engine.worker import Worker
from sendwright.errors import StoreDown
from sendwright.model import ids
from sendwright.model.content import Content
from sendwright.model.ids import IdMint
from sendwright.model.notices import OPERATOR
from sendwright.model.notification import Payload
from sendwright.model.parcel import INBOUND, Parcel, Sighting, pack, unbundle
from sendwright.model.records import (
    AttemptRecord,
    Conflict,
    DeadParcel,
    MessageRecord,
    Order,
    Running,
    Switch,
    Taken,
    Wait,
    parcel_of,
)
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.breaker import BreakerSettings
from sendwright.policy.duration import rfc3339
from sendwright.policy.limit import Reserve, parse_rate
from sendwright.policy.replying import Texts
from sendwright.policy.suppression import Marker, stop_of
from sendwright.policy.unsubscribing import Links
from sendwright.providers.contract import EVERY_CHANNEL

from .scripted_vendor import (
    FORBIDDEN,
    LOST,
    OK,
    REFUSED,
    THROTTLED,
    UNWELL,
    Call,
    Scripted,
    ScriptedEgress,
    Vendor,
    throttled,
)
from .virtual_time import NOW, START_S, VirtualClock, VirtualLoop, in_virtual_time

__all__ = [
    "EMAIL",
    "FORBIDDEN",
    "LOST",
    "NOW",
    "OK",
    "PHONE",
    "REFUSED",
    "TENANT",
    "THROTTLED",
    "UNWELL",
    "Call",
    "Quarantine",
    "Vendor",
    "World",
    "in_virtual_time",
    "number",
    "throttled",
]

TENANT = "acme"
PHONE = "+15550100001"
EMAIL = "someone@example.org"
MARKER = Marker(b"a secret for tests, 32 bytes long")
LINKS = Links("https://notify.example.com", [b"a secret for tests, 32 bytes long"], MARKER)
TTL_MS = {"default": 72 * 3_600_000, "critical": 600_000}
KEEP_MS = 7 * 86_400_000
HOOKS = "http://127.0.0.1:8420/v1/hooks"


class Faults:
    """What goes wrong between the engine and its store."""

    def __init__(self) -> None:
        self.down = False
        self.lost_answers: Counter[str] = Counter()
        """Calls of a method that will be done, and whose answer will not arrive."""
        self.slow_answers: dict[str, float] = {}
        """Seconds that a method's answer takes on its way back."""
        self.calls: Counter[str] = Counter()
        self.on_call: Callable[[str], None] | None = None


class Watched:
    """A port with faults on the way to it and back."""

    def __init__(self, port: Any, faults: Faults, *methods: str) -> None:
        self._port = port
        self._faults = faults
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return functools.partial(self._through, name, method) if name in self._methods else method

    async def _through(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        faults = self._faults
        faults.calls[name] += 1
        if faults.on_call is not None:
            faults.on_call(name)
        if faults.down:
            raise StoreDown("the store is down")
        answer = await method(*args)
        if name in faults.slow_answers:
            await asyncio.sleep(faults.slow_answers[name])
        if faults.lost_answers[name] > 0:
            faults.lost_answers[name] -= 1
            raise StoreDown("the answer was lost", maybe=True)
        return answer


LEDGER = (
    "plan", "claim", "settle", "park", "end", "advance", "observe", "cancel", "resolve", "revive", "drop", "repair",
    "unheard",
)  # fmt: skip


class Quarantine:
    """ports.DeadParcels."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[DeadParcel, bytes]] = {}
        self.versions: dict[str, int | None] = {}
        self.trials: dict[str, list[str]] = {}
        """Who has set about it, one after the other."""

    async def keep(self, lane: str, body: bytes, problem: str, now: int, version: int | None = None) -> None:
        id_ = ids.parcel_id(lane, body)
        at = max(now, self.kept[id_][0].at + 1) if id_ in self.kept else now
        self.kept[id_] = (DeadParcel(id_, lane, at, problem, len(body)), body)
        self.versions[id_] = version

    async def legible(self, version: int, limit: int) -> list[tuple[DeadParcel, bytes]]:
        fit = [self.kept[id_] for id_, its in self.versions.items() if id_ in self.kept and its is not None and its <= version]
        return sorted(fit, key=lambda found: (found[0].at, found[0].id))[:limit]

    async def tried(self, lane: str, body: bytes, by: str, now: int) -> int:
        found = self.trials.setdefault(ids.parcel_id(lane, body), [])
        if found[-1:] != [by]:
            found.append(by)
        return len(found) - 1

    async def cleared(self, lane: str, body: bytes) -> None:
        self.trials.pop(ids.parcel_id(lane, body), None)

    async def newest(self, limit: int) -> list[DeadParcel]:
        return sorted((row for row, _ in self.kept.values()), key=lambda row: (row.at, row.id), reverse=True)[:limit]

    async def found(self, id_: str) -> tuple[DeadParcel, bytes] | None:
        return self.kept.get(id_)

    async def drop(self, id_: str, at: int | None = None) -> bool:
        if id_ not in self.kept or at not in (None, self.kept[id_][0].at):
            return False
        del self.kept[id_]
        self.trials.pop(id_, None)
        return True


class World:
    """All parts over one store in memory. `async with` starts the worker, the promoter and the repairer."""

    def __init__(
        self,
        *vendors: Vendor,
        retry: RetrySettings | None = None,
        breaker: BreakerSettings | None = None,
        reserve: Reserve | None = None,
        routes: Mapping[str, list[str]] | None = None,
        concurrency: int = 1000,
        started: bool = True,
        recount: bool = True,
        backend: MemoryBackend | None = None,
        answers: Mapping[str, Texts] | None = None,
        fence_at: int = 0,
    ) -> None:
        self.vendors = {vendor.name: vendor for vendor in vendors}
        self.clock = VirtualClock()
        self.backend = backend if backend is not None else MemoryBackend(self.clock)
        self.faults = Faults()
        self._quarantine = Quarantine()
        self.told: list[Telling] = []
        self.draw: Callable[[], float] = random.Random(11).random
        self.recount = recount
        self._retry = retry or RetrySettings()
        self._fence_at = fence_at
        self._started = started
        self._concurrency = concurrency
        self._breaker = breaker or BreakerSettings()
        self._reserve = reserve or Reserve()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._routes = routes
        self.answers: dict[str, Texts] = dict(answers or {})
        """What is answered to keywords, by provider or channel."""
        self._wire()

    def _wire(self) -> None:
        backend, clock, tell = self.backend, self.clock, self.tell
        self.ledger: Any = Watched(backend.ledger, self.faults, *LEDGER)
        self.waiting: Any = Watched(backend.waiting, self.faults, "due", "tenants", "pull", "promoted", "parked", "next_due")
        self.board: Any = Watched(backend.switchboard, self.faults, "read", "set", "orders", "reorder")
        self.directory: Any = Watched(backend.directory, self.faults, "write", "known")
        self.bus: Any = backend.bus
        self.quarantine: Any = Watched(self._quarantine, self.faults, "keep")
        self.mint = IdMint(b"a secret for tests, 32 bytes long")
        self.egress = ScriptedEgress(self.vendors.values())
        accounts = [self._account(vendor) for vendor in self.vendors.values()]
        self.lines: dict[str, int] = {}
        stands: Any = Watched(backend.stands, self.faults, "stand")
        self.bulletin = Bulletin(stands, clock, tell)
        self.bulletin.begin(accounts)
        self.fleet = Fleet(accounts, self._routes_of(), self.board, tell, self.lines.__setitem__, self.bulletin.moved)
        self.promoter = Promoter(self.waiting, self.ledger, self.bus, self.fleet, clock, tell)
        poke = self.promoter.poke
        self.settler = Settler(self.ledger, self.fleet, clock, lambda: self.draw(), self._retry, tell, poke)
        tokens = iter(range(1, 1 << 30))
        self.tokens = Tokens(self.fleet, self.egress, clock, tell, lambda: self.draw())
        self.deliverer = Deliverer(
            self.ledger,
            self.fleet,
            self.egress,
            self.settler,
            clock,
            lambda: f"{backend.process}-{next(tokens)}",
            backend.process,
            tell,
            poke,
            tokens=self.tokens,
            marks=MARKER.addresses,
            link=functools.partial(link_in, LINKS),
            spares=functools.partial(stop_of, MARKER),
        )
        sieve = Sieve(self.quarantine, clock, tell, backend.process)
        self.planner = Planner(
            self.bus,
            self.ledger,
            sieve,
            self.fleet,
            clock,
            tell,
            TTL_MS,
            Acquaintance(self.directory, MARKER),
            self.promoter.crowded,
            self._fence_at,
        )
        accepting = Accept(backend.desk, self.mint, clock, random.Random(7).randbytes, tell, Aside(backend.bus.depth))
        responder = Responder(accepting, backend.suppressions, MARKER, clock, tell, self.answers, TENANT, KEEP_MS)
        listener = Listener(backend.suppressions, MARKER, TENANT, clock, tell, responder)
        self.observer = Observer(self.bus, self.ledger, sieve, clock, tell, poke, listener)
        self.worker = Worker(
            self.bus,
            self.planner,
            self.deliverer,
            self.observer,
            sieve,
            clock,
            tell,
            list(dict.fromkeys([*EVERY_CHANNEL, *self.fleet.channels])),
            Flight(self._concurrency, self._reserve),
        )
        self.repairer = Repairer(
            self.ledger,
            clock,
            alive=lambda owner: owner == backend.process,
            patience=self.fleet.patience,
            attempts_max=self._retry.attempts_max,
            tell=tell,
            poke=poke,
        )
        self.inquirer = Inquirer(self.ledger, self.fleet, self.egress, clock, tell)
        self.accepting = accepting

    def another_promoter(self) -> Promoter:
        """As another process would have it, over the same table."""
        return Promoter(self.waiting, self.ledger, self.bus, self.fleet, self.clock, self.tell)

    def _account(self, vendor: Vendor) -> Account:
        return Account(
            Scripted(vendor),
            concurrency=vendor.concurrency,
            rate=parse_rate(vendor.rate) if vendor.rate else None,
            breaker=self._breaker,
            reserve=self._reserve,
            callback_base=f"{HOOKS}/{vendor.name}" if vendor.receipts else None,
        )

    def _routes_of(self) -> Mapping[str, list[str]]:
        if self._routes is not None:
            return self._routes
        routes: dict[str, list[str]] = {}
        for vendor in self.vendors.values():
            for channel in vendor.channels:
                routes.setdefault(channel, []).append(vendor.name)
        return routes

    async def __aenter__(self) -> Self:
        await self.fleet.reload()
        if self._started:
            await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        dead = [task for task in (*self.worker._takers, *self._tasks) if task.done() and not task.cancelled() and task.exception()]
        await self._stop()
        if kind is None:
            assert not dead, f"died: {[task.exception() for task in dead]}"
            assert self.egress.leased == 0, "a line was never given back"
            if self.recount:
                assert (await self.backend.records.audit()).violations == ()

    async def start(self) -> None:
        await self.repairer.turn()
        self.worker.start()
        runs = (self.promoter.run, self.repairer.run, self.inquirer.run, self.bulletin.run)
        self._tasks = [asyncio.create_task(run()) for run in runs]

    async def kill(self) -> None:
        """kill -9, and a new process over what was committed. Calls in flight are never heard of again."""
        self.backend = await self.backend.restart()
        await self._stop()
        self._wire()
        await self.fleet.reload()
        await self.start()

    async def _stop(self) -> None:
        tasks = [*self._tasks, *self.worker._takers, *self.worker._works]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.tokens.close()

    def tell(self, telling: Telling) -> None:
        self.told.append(telling)
        self._news.set()

    def told_of(self, kind: type) -> list[Any]:
        return [telling for telling in self.told if isinstance(telling, kind)]

    # What callers and vendors do

    async def post(self, to: Any = None, key: str | None = None, **fields: Any) -> str:
        """An accepted notification's id. `to` is one recipient by telephone unless given."""
        answer = await self.accept(to, key, **fields)
        assert isinstance(answer, Taken)
        return answer.id

    async def accept(
        self, to: Any = None, key: str | None = None, *, tenant: str = TENANT, **fields: Any
    ) -> Taken | Conflict | Running:
        said = {"to": to if to is not None else {"phone": PHONE}, "content": {"body": "Hello"}, **fields}
        raw = json.dumps(said).encode()
        return await self.accepting.accept(tenant, msgspec.json.decode(raw, type=Payload), raw, key)

    async def post_many(self, count: int, first: int = 0, **fields: Any) -> list[str]:
        """One notification each, to different numbers."""
        return [await self.post({"phone": number(place)}, **fields) for place in range(first, first + count)]

    async def report(
        self, state: AttemptState, *, attempt: str | None = None, ref: str | None = None, provider: str = "one", **more: Any
    ) -> None:
        """A verified receipt, as the hooks put it on its lane."""
        await self.bus.publish(INBOUND, [pack(Sighting(provider, int(state), attempt, ref, **more))])

    async def switch(self, provider: str, *, enabled: bool | None = None, rate: str | None = None) -> None:
        """As the API does it: stored, read back, poked."""
        await self.board.set(Switch(provider, enabled=enabled, rate=rate))
        await self.fleet.reload()
        self.promoter.poke()

    async def reorder(self, channel: str, *providers: str) -> None:
        """As the API does it; nobody named is the settings' word."""
        await self.board.reorder(Order(channel, providers or None))
        await self.fleet.reload()
        self.promoter.poke()

    # What is there to see

    def told_of_providers(self) -> list[tuple[str, str, str | None]]:
        """What the operator was told, oldest first: type, provider and reason."""
        events = [event for event in self.backend.store.tables.events.rows if event.notification.startswith(ids.NOTICE)]
        found = [(event, json.loads(event.detail)) for event in events]
        assert all(event.tenant == OPERATOR for event in events)
        return [(event.type, told["provider"], told["reason"]) for event, told in found]

    def account(self, name: str = "one") -> Account:
        return self.fleet.accounts[name]

    def breaker(self, name: str = "one") -> str:
        return self.account(name).breaker.state.value

    def message(self, notification: str, ordinal: int = 0) -> MessageRecord:
        tables = self.backend.store.tables
        return tables.shown(tables.messages.rows[ids.message_id(notification, ordinal)])

    def waits(self) -> list[Wait]:
        """Of all messages that wait for anything."""
        tables = self.backend.store.tables
        return [row.wait for row in map(tables.shown, tables.messages.rows.values()) if row.wait is not None]

    def state(self, notification: str, ordinal: int = 0) -> MessageState:
        row = self.backend.store.tables.messages.rows.get(ids.message_id(notification, ordinal))
        return row.state if row is not None else MessageState.ACCEPTED

    def states(self, notifications: Iterable[str]) -> Counter[str]:
        return Counter(self.state(notification).label for notification in notifications)

    def attempts(self, notification: str, ordinal: int = 0) -> list[AttemptRecord]:
        tables = self.backend.store.tables
        return tables.committed_attempts_of(self.message(notification, ordinal))

    def events(self, notification: str) -> list[str]:
        rows = self.backend.store.tables.events.rows
        return [event.type for event in rows if event.notification == notification and event.message is not None]

    def content(self, notification: str) -> Content:
        return self.backend.store.tables.notifications.rows[notification].plan.content

    def parcels(self, delivery: Delivery) -> list[Parcel]:
        return unbundle(Parcel, delivery.body)

    def parcel_of(self, notification: str) -> Parcel:
        """The parcel that would send the message from where it stands now."""
        return parcel_of(self.message(notification), self.content(notification))

    def quarantined(self) -> list[bytes]:
        return [body for _, body in self._quarantine.kept.values()]

    def raise_epoch(self) -> None:
        """Somebody else's switch, of which this process has not heard yet."""
        self.backend.store.tables.epochs.rows["switches"] += 1

    def instant(self, seconds: float) -> str:
        """RFC 3339, that many seconds from now."""
        return rfc3339(self.clock.now_ms() + round(seconds * 1000))

    def at(self) -> float:
        """Seconds since the test began."""
        return self.clock.monotonic() - START_S

    @property
    def loop(self) -> VirtualLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop

    def chance(self, seed: int) -> random.Random:
        return random.Random(seed)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until(self, true: Callable[[], bool], within_s: float = 60) -> None:
        """Lets the world go on until something is so; fails when it is not by then."""
        deadline = self.at() + within_s
        while not true():
            left_s = deadline - self.at()
            assert left_s > 0, f"not within {within_s:g} s"
            self._news.clear()
            try:
                async with asyncio.timeout(min(left_s, 0.5)):
                    await self._news.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(0)

    async def settled(self, notifications: str | Iterable[str], state: MessageState, within_s: float = 60) -> None:
        wanted = [notifications] if isinstance(notifications, str) else list(notifications)
        await self.until(lambda: all(self.state(one) == state for one in wanted), within_s)


def number(place: int) -> str:
    return f"+1555{place:07d}"
