"""The composition root: the only module that sees everything. It puts the parts together, and takes them apart in order.

Start: store and bus, sandbox, providers, egress, repair of what the process before left open, workers, promoter, API.
Stop (SIGTERM): the API takes nothing more, workers finish what is in flight within `drain_s`, then the store closes.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from sendwright.drivers.egress.gate import Gate, Route
from sendwright.drivers.store.sqlite import SqliteBackend, open_sqlite
from sendwright.engine.accept import Accept
from sendwright.engine.deliver import Deliverer
from sendwright.engine.fleet import Account, Fleet
from sendwright.engine.observe import Observer
from sendwright.engine.plan import Planner
from sendwright.engine.repair import Repairer
from sendwright.engine.schedule import Promoter
from sendwright.engine.settle import RetrySettings, Settler
from sendwright.engine.telling import Tell, Telling
from sendwright.engine.worker import Worker
from sendwright.errors import OperatorError
from sendwright.model.ids import IdMint
from sendwright.policy.breaker import BreakerSettings
from sendwright.policy.limit import Reserve, parse_rate
from sendwright.providers import registry
from sendwright.providers.contract import Provider
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.server import SandboxServer
from sendwright.settings import Keys, Loaded, Settings, data_keys

SANDBOX = "sandbox"


class SystemClock:
    """ports.Clock, by the machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Subscribers:
    """Everybody who listens to what the engine tells. One that fails is its own trouble."""

    def __init__(self) -> None:
        self._tells: list[Tell] = []

    def add(self, tell: Tell) -> None:
        self._tells.append(tell)

    def __call__(self, telling: Telling) -> None:
        for tell in self._tells:
            tell(telling)


class Parts(Struct, frozen=True):
    """What a running Sendwright is made of."""

    settings: Settings
    keys: Keys
    clock: SystemClock
    tell: Subscribers
    mint: IdMint
    backend: SqliteBackend
    providers: dict[str, Provider]
    fleet: Fleet
    gate: Gate
    accept: Accept
    worker: Worker
    promoter: Promoter
    repairer: Repairer
    sandbox_url: str | None


class Roles(Struct, frozen=True):
    """Which work this process does."""

    plans_and_delivers: bool = True
    schedules: bool = True


class Running:
    """An embedded Sendwright between start and stop; the API comes on top of it."""

    def __init__(self, loaded: Loaded, roles: Roles | None = None) -> None:
        self._loaded = loaded
        self._roles = roles or Roles()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self.fatal: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> Parts:
        """Everything but the API, running. Raises `OperatorError` for what the operator must mend."""
        settings = self._loaded.settings
        keys = data_keys(settings.data, settings)
        tell = Subscribers()
        backend = await self._stack.enter_async_context(
            open_sqlite(settings.store.path, keep_ms=lambda: settings.api.idempotency_keep_s * 1000)
        )
        sandbox_url = await self._sandbox()
        providers = make_providers(settings, sandbox_url)
        self.parts = parts = _assemble(settings, keys, tell, backend, providers, sandbox_url)
        self._stack.push_async_callback(parts.gate.close)
        await parts.fleet.reload()
        await parts.repairer.turn()
        if self._roles.plans_and_delivers:
            parts.worker.start()
        if self._roles.schedules:
            self._tasks = [asyncio.create_task(parts.promoter.run()), asyncio.create_task(parts.repairer.run())]
        return parts

    async def stop(self) -> bool:
        """Drains; True when everything in flight came to its end in time."""
        parts = self.parts
        drained = await parts.worker.drain(parts.settings.worker.drain_s)
        parts.promoter.stop()
        parts.repairer.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        return drained

    async def _sandbox(self) -> str | None:
        settings = self._loaded.settings
        if not settings.sandbox_channels() or settings.sandbox.listen is None:
            return None
        host, _, port = settings.sandbox.listen.rpartition(":")
        server = SandboxServer(SandboxOptions(host=host, port=int(port)))
        fixed = self._loaded.sources.get("sandbox.listen", "default") != "default"
        try:
            bound = await server.start(host, int(port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or fixed:
                raise OperatorError(f"the sandbox can't listen on {settings.sandbox.listen}: {error.strerror}") from error
            bound = await server.start(host, 0)
        self._stack.push_async_callback(server.stop)
        return f"http://{host}:{bound}"


def make_providers(settings: Settings, sandbox_url: str | None) -> dict[str, Provider]:
    """The configured accounts, in file order, then the sandbox's own where there is one."""
    providers = {name: registry.make(name, raw) for name, raw in settings.providers.items()}
    channels = settings.sandbox_channels()
    if channels and sandbox_url is not None:
        raw = {"kind": "sandbox", "url": sandbox_url, "channels": list(channels)}
        providers.setdefault(SANDBOX, registry.make(SANDBOX, raw))
    return providers


def routes_of(settings: Settings, providers: Mapping[str, Provider]) -> dict[str, list[str]]:
    """The providers of each channel: the route's, or else all that serve it, in file order."""
    routes: dict[str, list[str]] = {}
    for name, provider in providers.items():
        for channel in provider.capabilities.channels:
            routes.setdefault(channel, []).append(name)
    for channel, route in settings.routes.items():
        routes[channel] = list(route.providers)
    return routes


def callback_base(settings: Settings, provider: Provider) -> str | None:
    """Where this provider may report to. Without a `public_url`, only those on this machine or a private network can."""
    base = settings.api.public_url
    if base is None:
        target = getattr(provider.settings, "base_url", None) or getattr(provider.settings, "url", None)
        if target is None or not is_private(urlsplit(target).hostname or ""):
            return None
        base = f"http://{settings.api.listen}"
    return f"{base.rstrip('/')}/v1/hooks/{provider.name}"


def is_private(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def _accounts(settings: Settings, providers: Iterable[Provider]) -> list[Account]:
    b = settings.breaker
    breaker = BreakerSettings(failures=b.failures, share=b.share, window_s=b.window_s, probe_s=b.probe_s)
    reserve = Reserve(critical=settings.worker.reserve.get("critical", 0.0), high=settings.worker.reserve.get("high", 0.0))
    return [
        Account(
            provider,
            concurrency=provider.settings.concurrency,
            rate=parse_rate(provider.settings.rate) if provider.settings.rate else None,
            breaker=breaker,
            reserve=reserve,
            callback_base=callback_base(settings, provider),
        )
        for provider in providers
    ]


def new_token() -> Callable[[], str]:
    """Tokens that are never used twice: this incarnation's name and a count."""
    name, count = secrets.token_hex(6), iter(range(1, 1 << 62))
    return lambda: f"{name}-{next(count)}"


def _assemble(
    settings: Settings,
    keys: Keys,
    tell: Subscribers,
    backend: SqliteBackend,
    providers: dict[str, Provider],
    sandbox_url: str | None,
) -> Parts:
    clock = SystemClock()
    fleet = Fleet(_accounts(settings, providers.values()), routes_of(settings, providers), backend.switchboard, tell)
    gate = Gate({p.name: Route(concurrency=p.settings.concurrency, idle_s=p.capabilities.idle_s) for p in providers.values()})
    retry = settings.retry
    mint = IdMint(keys.secret_key.reveal().encode())
    promoter = Promoter(backend.waiting, backend.ledger, backend.bus, fleet, clock, tell)
    settler = Settler(
        backend.ledger,
        fleet,
        clock,
        random.SystemRandom().random,
        RetrySettings(retry.attempts_max, retry.base_s, retry.cap_s),
        tell,
        promoter.poke,
    )
    deliverer = Deliverer(backend.ledger, fleet, gate, settler, clock, new_token(), backend.process, tell, promoter.poke)
    ttl_ms = {name: seconds * 1000 for name, seconds in retry.ttl_s.items()}
    worker = Worker(
        backend.bus,
        Planner(backend.bus, backend.ledger, backend.quarantine, fleet, clock, tell, ttl_ms),
        deliverer,
        Observer(backend.bus, backend.ledger, backend.quarantine, clock, tell, promoter.poke),
        backend.quarantine,
        clock,
        tell,
        fleet.channels,
        settings.worker.concurrency,
    )
    return Parts(
        settings=settings,
        keys=keys,
        clock=clock,
        tell=tell,
        mint=mint,
        backend=backend,
        providers=providers,
        fleet=fleet,
        gate=gate,
        accept=Accept(backend.desk, mint, clock, os.urandom, tell),
        worker=worker,
        promoter=promoter,
        repairer=Repairer(
            backend.ledger,
            clock,
            alive=lambda owner: owner == backend.process,
            patience_ms=lambda name: fleet.accounts[name].patience_ms if name in fleet.accounts else 1000,
            tell=tell,
            poke=promoter.poke,
        ),
        sandbox_url=sandbox_url,
    )
