"""A world for the engine's tests: the real stories over the store in memory, in a time that passes only when all is idle.

`in_virtual_time` runs a test on an event loop whose clock jumps to the next timer as soon as nothing else can run, so
an hour of retries takes milliseconds, and a wait for something that can never happen fails at once. A `Vendor` is the
other end of the line: it keeps every call that reached it and answers by its script. A `World` wires the parts as the
application does; when a test leaves it, the store is recounted and no taker may have died.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import random
import selectors
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.engine.accept import Accept
from sendwright.engine.deliver import Deliverer
from sendwright.engine.fleet import Account, Fleet
from sendwright.engine.observe import Observer
from sendwright.engine.plan import Planner
from sendwright.engine.repair import Repairer
from sendwright.engine.schedule import Promoter
from sendwright.engine.settle import RetrySettings, Settler
from sendwright.engine.telling import Telling
from sendwright.engine.worker import Flight, Worker
from sendwright.errors import StoreDown, Unreachable
from sendwright.model import ids
from sendwright.model.ids import IdMint
from sendwright.model.notification import Payload
from sendwright.model.parcel import INBOUND, Sighting, pack
from sendwright.model.records import AttemptRecord, Conflict, MessageRecord, Running, Switch, Taken
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.breaker import BreakerSettings
from sendwright.policy.duration import rfc3339
from sendwright.policy.limit import Reserve, parse_rate
from sendwright.providers.answers import by_status
from sendwright.providers.contract import (
    EVERY_CHANNEL,
    Accepted,
    Answer,
    Capabilities,
    CommonSettings,
    HttpRequest,
    Lost,
    NotSent,
    Outcome,
    Outgoing,
    Provider,
    Reply,
    Request,
)

NOW = 1_800_000_000_000
"""ms since 1970, when a test begins."""
TENANT = "acme"
PHONE = "+15550100001"
EMAIL = "someone@example.org"
TTL_MS = {"default": 72 * 3_600_000, "critical": 600_000}
_START_S = 1000.0
HOOKS = "http://127.0.0.1:8420/v1/hooks"

# Answers of vendors.
UNWELL = Reply(503)
THROTTLED = Reply(429)
REFUSED = Reply(400)
FORBIDDEN = Reply(401)
LOST = Lost("wait", "reset")
OK = Reply(202)
"""Taken, with a reference of its own for each call."""


class _Idle(selectors.BaseSelector):
    """Looks whether anything is ready; else moves the clock to the loop's next timer instead of waiting for it."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now_s = _START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if not ready and timeout is None:
            raise AssertionError("everybody waits for something that can't happen any more")
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: `asyncio.sleep` and `asyncio.timeout` keep to it as well."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)
        self._clock_resolution = 1e-7

    def time(self) -> float:
        return self._idle.now_s

    def jump(self, seconds: float) -> None:
        """Time passes while one task holds the processor."""
        self._idle.now_s += seconds


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an asynchronous test to its end on a loop of its own, in no time."""

    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    functools.update_wrapper(run, test)
    del run.__wrapped__  # type: ignore[attr-defined]  # nobody may take it for a coroutine function
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run


class VirtualClock:
    """ports.Clock by the running loop."""

    def now_ms(self) -> int:
        return NOW + int((self.monotonic() - _START_S) * 1000 + 1e-4)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Call(Struct, frozen=True):
    """One request that was written. `at` in seconds since the test began."""

    at: float
    attempt: str
    message: str
    address: str
    body: str
    key: str
    in_flight: int
    """Calls in flight at this vendor, this one included."""


class Vendor:
    """The other end of one provider: what it is, how it answers, and every call that it was sent."""

    def __init__(
        self,
        name: str = "one",
        *,
        channels: tuple[str, ...] = ("sms",),
        receipts: bool = False,
        idempotency_s: float = 0,
        concurrency: int = 200,
        rate: str | None = None,
        timeout_s: float = 10,
        latency_s: float = 0.05,
    ) -> None:
        self.name = name
        self.channels = channels
        self.receipts = receipts
        self.idempotency_s = idempotency_s
        self.concurrency = concurrency
        self.rate = rate
        self.timeout_s = timeout_s
        self.latency_s = latency_s
        self.connect_s = 0.0
        self.unreachable: str | None = None
        """The phase in which connecting fails, or None."""
        self.hangs = False
        """Takes the request and never answers."""
        self.answer: Answer | Callable[[Call], Answer] = OK
        """What it says when nothing else was scripted."""
        self.script: deque[Answer] = deque()
        self.calls: list[Call] = []
        self.dials = 0
        self.in_flight = 0
        self.lines_open = True
        self.on_open: Callable[[], None] | None = None

    def says(self, *answers: Answer) -> None:
        """These, one after the other, before it goes on as usual."""
        self.script.extend(answers)

    def always(self, answer: Answer | Callable[[Call], Answer]) -> None:
        self.answer = answer

    @property
    def times(self) -> list[float]:
        return [call.at for call in self.calls]

    @property
    def addresses(self) -> list[str]:
        return [call.address for call in self.calls]

    def reply_to(self, call: Call) -> Answer:
        said = self.script.popleft() if self.script else self.answer
        answer = said(call) if callable(said) else said
        if answer == OK:
            return Reply(202, body=json.dumps({"id": f"{self.name}-{len(self.calls)}"}).encode())
        return answer


class ScriptedSettings(CommonSettings, frozen=True, kw_only=True):
    """Nothing of its own."""


class Scripted(Provider):
    """An adapter of few words: JSON out, the status in, and every dialect of `Retry-After`."""

    kind = "scripted"
    settings_type = ScriptedSettings

    def __init__(self, vendor: Vendor) -> None:
        settings = ScriptedSettings(kind="scripted", rate=vendor.rate, concurrency=vendor.concurrency, timeout_s=vendor.timeout_s)
        super().__init__(vendor.name, settings)
        self._vendor = vendor

    @property
    def capabilities(self) -> Capabilities:
        vendor = self._vendor
        return Capabilities(channels=vendor.channels, receipts=vendor.receipts, idempotency_s=vendor.idempotency_s)

    def build(self, out: Outgoing) -> HttpRequest:
        if out.body == "unsayable":
            raise ValueError("it can't be said in these words")
        said = {name: getattr(out, name) for name in ("attempt", "message", "address", "body")}
        said["key"] = out.idempotency_key
        return HttpRequest("POST", "https://vendor.example/send", body=json.dumps(said).encode())

    def parse(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:
            return Accepted(json.loads(reply.body)["id"])
        return by_status(reply)


class ScriptedLine:
    """ports.Line to a vendor."""

    def __init__(self, vendor: Vendor, egress: ScriptedEgress) -> None:
        self._vendor = vendor
        self._egress = egress
        self._released = False

    @property
    def open(self) -> bool:
        return self._vendor.lines_open

    async def send(self, request: Request, within_s: float) -> Answer:
        vendor = self._vendor
        if within_s <= 0:
            return NotSent("late", "no time left")
        assert isinstance(request, HttpRequest)
        assert not self._released, "a line was used after it was given back"
        loop = asyncio.get_running_loop()
        said = json.loads(request.body)
        vendor.in_flight += 1
        call = Call(loop.time() - _START_S, **said, in_flight=vendor.in_flight)
        vendor.calls.append(call)
        try:
            if vendor.hangs or vendor.latency_s >= within_s:
                await asyncio.sleep(within_s)
                return Lost("wait", "no answer in time")
            answer = vendor.reply_to(call)
            await asyncio.sleep(vendor.latency_s)
            return answer
        finally:
            vendor.in_flight -= 1

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._egress.leased -= 1


class ScriptedEgress:
    """ports.Egress to the vendors."""

    def __init__(self, vendors: Iterable[Vendor]) -> None:
        self._vendors = {vendor.name: vendor for vendor in vendors}
        self.leased = 0

    async def open(self, provider: str, request: Request, within_s: float) -> ScriptedLine:
        vendor = self._vendors[provider]
        vendor.dials += 1
        if vendor.connect_s:
            await asyncio.sleep(min(vendor.connect_s, within_s))
        if vendor.unreachable is not None or vendor.connect_s > within_s:
            raise Unreachable(vendor.unreachable or "connect", "refused")
        if vendor.on_open is not None:
            vendor.on_open()
        self.leased += 1
        return ScriptedLine(vendor, self)


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
)  # fmt: skip


class Quarantine:
    """ports.DeadParcels."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes]] = []

    async def keep(self, lane: str, body: bytes, problem: str, now: int) -> None:
        if (lane, body) not in self.kept:
            self.kept.append((lane, body))


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
    ) -> None:
        self.vendors = {vendor.name: vendor for vendor in vendors}
        self.clock = VirtualClock()
        self.backend = backend if backend is not None else MemoryBackend(self.clock)
        self.faults = Faults()
        self.told: list[Telling] = []
        self.draw: Callable[[], float] = random.Random(11).random
        self.recount = recount
        self._retry = retry or RetrySettings()
        self._started = started
        self._concurrency = concurrency
        self._breaker = breaker or BreakerSettings()
        self._reserve = reserve or Reserve()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._routes = routes
        self._wire()

    def _wire(self) -> None:
        backend, clock, tell = self.backend, self.clock, self.tell
        self.ledger: Any = Watched(backend.ledger, self.faults, *LEDGER)
        self.waiting: Any = Watched(backend.waiting, self.faults, "due", "pull", "promoted", "parked", "next_due")
        self.board: Any = Watched(backend.switchboard, self.faults, "read", "set")
        self.bus: Any = backend.bus
        self._quarantine = Quarantine()
        self.quarantine: Any = Watched(self._quarantine, self.faults, "keep")
        self.mint = IdMint(b"a secret for tests, 32 bytes long")
        self.egress = ScriptedEgress(self.vendors.values())
        accounts = [self._account(vendor) for vendor in self.vendors.values()]
        self.fleet = Fleet(accounts, self._routes_of(), self.board, tell)
        self.promoter = Promoter(self.waiting, self.ledger, self.bus, self.fleet, clock, tell)
        poke = self.promoter.poke
        self.settler = Settler(self.ledger, self.fleet, clock, lambda: self.draw(), self._retry, tell, poke)
        tokens = iter(range(1, 1 << 30))
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
        )
        self.planner = Planner(self.bus, self.ledger, self.quarantine, self.fleet, clock, tell, TTL_MS)
        self.observer = Observer(self.bus, self.ledger, self.quarantine, clock, tell, poke)
        self.worker = Worker(
            self.bus,
            self.planner,
            self.deliverer,
            self.observer,
            self.quarantine,
            clock,
            tell,
            list(dict.fromkeys([*EVERY_CHANNEL, *self.fleet.channels])),
            Flight(self._concurrency, self._reserve),
        )
        self.repairer = Repairer(
            self.ledger,
            clock,
            alive=lambda owner: owner == backend.process,
            patience_ms=lambda name: self.fleet.accounts[name].patience_ms if name in self.fleet.accounts else 1000,
            tell=tell,
            poke=poke,
        )
        self.accepting = Accept(backend.desk, self.mint, clock, random.Random(7).randbytes, tell)

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

    async def __aenter__(self) -> World:
        await self.fleet.reload()
        if self._started:
            await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        dead = [task for task in (*self.worker._takers, *self._tasks) if task.done() and not task.cancelled()]
        await self._stop()
        if kind is None:
            assert not dead, f"died: {[task.exception() for task in dead]}"
            assert self.egress.leased == 0, "a line was never given back"
            if self.recount:
                assert (await self.backend.records.audit()).violations == ()

    async def start(self) -> None:
        await self.repairer.turn()
        self.worker.start()
        self._tasks = [asyncio.create_task(self.promoter.run()), asyncio.create_task(self.repairer.run())]

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

    async def accept(self, to: Any = None, key: str | None = None, **fields: Any) -> Taken | Conflict | Running:
        said = {"to": to if to is not None else {"phone": PHONE}, "content": {"body": "Hello"}, **fields}
        raw = json.dumps(said).encode()
        return await self.accepting.accept(TENANT, msgspec.json.decode(raw, type=Payload), raw, key)

    async def post_many(self, count: int, first: int = 0, **fields: Any) -> list[str]:
        """One notification each, to different numbers."""
        return [await self.post({"phone": number(place)}, **fields) for place in range(first, first + count)]

    async def report(
        self, state: AttemptState, *, attempt: str | None = None, ref: str | None = None, provider: str = "one", **more: Any
    ) -> None:
        """A verified receipt, as the hooks put it on its lane."""
        await self.bus.publish(INBOUND, [pack(Sighting(provider, int(state), attempt, ref, **more))])

    async def switch(self, provider: str, *, enabled: bool) -> None:
        """As the API does it: stored, read back, poked."""
        await self.board.set(Switch(provider, enabled=enabled))
        await self.fleet.reload()
        self.promoter.poke()

    # What is there to see

    def account(self, name: str = "one") -> Account:
        return self.fleet.accounts[name]

    def breaker(self, name: str = "one") -> str:
        return self.account(name).breaker.state.value

    def message(self, notification: str, ordinal: int = 0) -> MessageRecord:
        tables = self.backend.store.tables
        return tables.shown(tables.messages.rows[ids.message_id(notification, ordinal)])

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

    def quarantined(self) -> list[bytes]:
        return [body for _, body in self._quarantine.kept]

    def raise_epoch(self) -> None:
        """Somebody else's switch, of which this process has not heard yet."""
        self.backend.store.tables.epochs.rows["switches"] += 1

    def instant(self, seconds: float) -> str:
        """RFC 3339, that many seconds from now."""
        return rfc3339(self.clock.now_ms() + round(seconds * 1000))

    def at(self) -> float:
        """Seconds since the test began."""
        return self.clock.monotonic() - _START_S

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


def throttled(seconds: float) -> Reply:
    return Reply(429, headers=(("retry-after", f"{seconds:g}"),))
