"""What a running Sendwright is made of, and how the parts are put together."""

from __future__ import annotations

import ipaddress
import random
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import get_args
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from sendwright.app.engines import Backend
from sendwright.app.fetching import line_name, route_for_callbacks
from sendwright.app.machine import Randomness, SystemClock
from sendwright.drivers.egress.address import networks
from sendwright.drivers.egress.gate import Gate, Route
from sendwright.drivers.egress.inbox import InboxLine
from sendwright.engine.accept import Accept
from sendwright.engine.account import Account
from sendwright.engine.acquaint import Acquaintance
from sendwright.engine.aside import Aside
from sendwright.engine.bulletin import Bulletin
from sendwright.engine.catalogue import Catalogue
from sendwright.engine.concord import Concord
from sendwright.engine.deliver import Deliverer
from sendwright.engine.drift import Drift
from sendwright.engine.fleet import Fleet
from sendwright.engine.hands import Flight
from sendwright.engine.hear import Listener
from sendwright.engine.herald import MOST, Herald
from sendwright.engine.inquire import Inquirer
from sendwright.engine.observe import Observer
from sendwright.engine.plan import Planner
from sendwright.engine.ports import Clock
from sendwright.engine.postman import ROUTE, Postman
from sendwright.engine.receivers import Receivers
from sendwright.engine.reminder import Reminder
from sendwright.engine.render import link_in
from sendwright.engine.repair import Repairer
from sendwright.engine.report import Reporter
from sendwright.engine.respond import Responder
from sendwright.engine.roll import Roll, only
from sendwright.engine.schedule import Promoter
from sendwright.engine.sealing import Sealer
from sendwright.engine.settle import RetrySettings, Settler
from sendwright.engine.sieve import Sieve
from sendwright.engine.store_time import StoreTime
from sendwright.engine.telling import Tell, Telling
from sendwright.engine.tokens import Tokens
from sendwright.engine.warden import Warden
from sendwright.engine.worker import Worker
from sendwright.model.ids import IdMint
from sendwright.model.parcel import VERSION
from sendwright.policy.admission import LINK_SCHEMES, Rules
from sendwright.policy.breaker import BreakerSettings
from sendwright.policy.limit import Reserve, parse_rate
from sendwright.policy.suppression import Marker, stop_of
from sendwright.policy.unsubscribing import Links
from sendwright.providers import registry
from sendwright.providers.contract import EVERY_CHANNEL, Provider, Secret
from sendwright.settings import Keys, Settings, address_of

SANDBOX = "sandbox"
TESTS = 8
"""Tests of endpoints that have a line at a time, beside the herald's posts."""


class Subscribers:
    """Everybody who listens to what the engine tells. One that fails is its own trouble."""

    def __init__(self) -> None:
        self._tells: dict[type, list[Tell]] = {kind: [] for kind in get_args(Telling)}

    def add(self, tell: Tell, *kinds: type) -> None:
        """Tells it of these kinds; of all, where none is named."""
        for kind in kinds or self._tells:
            self._tells[kind].append(tell)

    def __call__(self, telling: Telling) -> None:
        for tell in self._tells[type(telling)]:
            tell(telling)


class Figures:
    """Counts that are read from the store now and then (upkeep.py), for whoever asks in between."""

    dead = 0
    in_doubt = 0
    violations = 0
    endpoint_pending = 0
    endpoints_disabled: Mapping[str, int] = {}


class Parts(Struct, frozen=True):
    """What a running Sendwright is made of."""

    settings: Settings
    keys: Keys
    clock: Clock
    drift: Drift
    tell: Subscribers
    mint: IdMint
    marker: Marker
    links: Links
    backend: Backend
    providers: dict[str, Provider]
    fleet: Fleet
    gate: Gate
    tokens: Tokens
    accept: Accept
    warden: Warden
    catalogue: Catalogue
    worker: Worker
    promoter: Promoter
    repairer: Repairer
    inquirer: Inquirer
    herald: Herald
    receivers: Receivers
    reporter: Reporter
    bulletin: Bulletin | None
    """None where processes share the store."""
    reminder: Reminder
    roll: Roll | None
    """None where one process holds the store."""
    concord: Concord | None
    """None likewise."""
    sandbox_url: str | None
    figures: Figures


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
        if target is None or isinstance(target, Secret) or not is_private(urlsplit(target).hostname or ""):
            return None
        base = address_of(*settings.listens_on())
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
    reserve = reserve_of(settings)
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


def route_of(provider: Provider) -> Route:
    can = provider.capabilities
    return Route(
        concurrency=provider.settings.concurrency,
        idle_s=can.idle_s,
        guarded=can.guarded,
        allow_private=private_of(provider) if can.guarded else (),
    )


def routes_out(providers: Mapping[str, Provider]) -> dict[str, Route]:
    """Every provider's, and those of the calls that callbacks take."""
    fetching = {line_name(name): route_for_callbacks(each) for name, each in providers.items() if each.capabilities.fetches}
    return {name: route_of(provider) for name, provider in providers.items()} | fetching


def route_to_endpoints(settings: Settings) -> Route:
    """The way to the operator's own services, whose addresses callers of the API name."""
    return Route(concurrency=MOST + TESTS, guarded=True, allow_private=settings.api.endpoint_private)


def private_of(provider: Provider) -> tuple[str, ...]:
    """The networks of its own that its operator lets it reach."""
    networks: tuple[str, ...] = getattr(provider.settings, "allow_private", ())
    return networks


def reserve_of(settings: Settings) -> Reserve:
    share = settings.worker.reserve
    return Reserve(critical=share.get("critical", 0.0), high=share.get("high", 0.0))


def new_token() -> Callable[[], str]:
    """Tokens that are never used twice: this incarnation's name and a count."""
    name, count = secrets.token_hex(6), iter(range(1, 1 << 62))
    return lambda: f"{name}-{next(count)}"


def marker_of(keys: Keys, settings: Settings) -> Marker:
    """By which addresses stand on the list of suppressions; those that were put there under older keys are found too."""
    return Marker(keys.secret_key.reveal().encode(), tuple(key.reveal().encode() for key in settings.secrets.previous))


def links_of(settings: Settings, keys: Keys, marker: Marker) -> Links:
    """By which people unsubscribe. Without a `public_url` they lead to this machine, so that they can be tried there."""
    return Links(public_base(settings), _secrets(settings, keys), marker)


def public_base(settings: Settings) -> str:
    """Where we are reached, without a slash at the end."""
    return (settings.api.public_url or address_of(*settings.listens_on())).rstrip("/")


def rules_of(parts: Parts) -> Rules:
    """By which a notification is judged, however it comes."""
    return Rules(
        known=frozenset({*EVERY_CHANNEL, *parts.fleet.channels}),
        private=networks(tuple(network for provider in parts.providers.values() for network in private_of(provider))),
        schemes=schemes_of(parts.settings),
    )


def _secrets(settings: Settings, keys: Keys) -> list[bytes]:
    """The secret key, and those of before."""
    return [secret.reveal().encode() for secret in (keys.secret_key, *settings.secrets.previous)]


def schemes_of(settings: Settings) -> frozenset[str]:
    """Those that links may have."""
    return LINK_SCHEMES | frozenset(settings.api.link_schemes)


def _delivered(settings: Settings, fleet: Fleet) -> list[str]:
    """The channels whose lanes are taken from. On SQLite, where a lane costs nothing, those without a provider too: what
    was accepted while they still had one must go on to its next step, or fail, rather than lie there."""
    return list(dict.fromkeys([*fleet.channels, *EVERY_CHANNEL])) if settings.embedded else fleet.channels


def _worker(
    settings: Settings,
    backend: Backend,
    fleet: Fleet,
    gate: Gate,
    promoter: Promoter,
    clock: Clock,
    drift: Drift,
    tell: Subscribers,
    channels: Sequence[str],
    tokens: Tokens,
    marker: Marker,
    links: Links,
    accept: Accept,
) -> Worker:
    """The stories that the lanes feed: plan, deliver, settle, observe."""
    bus, ledger, poke, retry = backend.bus, backend.ledger, promoter.poke, settings.retry
    sieve = Sieve(backend.quarantine, clock, tell, backend.process)
    limits = RetrySettings(retry.attempts_max, retry.base_s, retry.cap_s)
    settler = Settler(ledger, fleet, clock, random.SystemRandom().random, limits, tell, poke)
    ttl_ms = {name: seconds * 1000 for name, seconds in retry.ttl_s.items()}
    return Worker(
        bus,
        Planner(
            bus,
            ledger,
            sieve,
            fleet,
            clock,
            tell,
            ttl_ms,
            Acquaintance(backend.directory, marker),
            promoter.crowded,
            backend.fence_at,
        ),
        Deliverer(
            ledger,
            fleet,
            gate,
            settler,
            clock,
            new_token(),
            backend.process,
            tell,
            poke,
            drift.held,
            schemes_of(settings),
            tokens=tokens,
            marks=marker.addresses,
            link=partial(link_in, links),
            spares=partial(stop_of, marker),
        ),
        Observer(bus, ledger, sieve, clock, tell, poke, _listener(settings, backend, clock, tell, marker, accept)),
        sieve,
        clock,
        tell,
        channels,
        Flight(settings.worker.concurrency, reserve_of(settings)),
    )


def _listener(settings: Settings, backend: Backend, clock: Clock, tell: Subscribers, marker: Marker, accept: Accept) -> Listener:
    """Hears what people say back, and answers keywords where the settings have a text for it."""
    tenant, keep_ms = settings.bus.ingress_tenant, settings.api.idempotency_keep_s * 1000
    responder = Responder(accept, backend.suppressions, marker, clock, tell, settings.replies, tenant, keep_ms)
    return Listener(backend.suppressions, marker, tenant, clock, tell, responder if settings.replies else None)


def assemble(
    settings: Settings,
    keys: Keys,
    tell: Subscribers,
    backend: Backend,
    providers: dict[str, Provider],
    sandbox_url: str | None,
    channels: Collection[str] | None = None,
    *,
    sends: bool = True,
    clock: Clock | None = None,
) -> Parts:
    """Puts it together. `channels`: those that this process delivers; None for all of them. `sends`: whether it calls providers.
    `clock` replaces the machine's."""
    store_clock = backend.store_clock
    clock = clock or SystemClock()
    clock = clock if store_clock is None else StoreTime(clock, store_clock)
    drift = Drift(clock, tell)
    ways = routes_out(providers) | {ROUTE: route_to_endpoints(settings)}
    gate = Gate(ways, inbox=partial(InboxLine, backend.inbox, clock))

    def lines(name: str, concurrency: int) -> None:
        gate.configure(name, replace(route_of(providers[name]), concurrency=concurrency))

    sealer = Sealer(_secrets(settings, keys), Randomness())
    postman = Postman(gate, sealer, clock)
    accounts = _accounts(settings, providers.values())
    bulletin = Bulletin(backend.stands, clock, tell) if backend.stands is not None else None
    moved = bulletin.moved if bulletin is not None else lambda _account: None
    fleet = Fleet(accounts, routes_of(settings, providers), backend.switchboard, tell, lines, moved)
    if bulletin is not None:
        bulletin.begin(accounts)
    tokens = Tokens(fleet, gate, clock, tell)
    mint = IdMint(keys.secret_key.reveal().encode())
    marker = marker_of(keys, settings)
    links = links_of(settings, keys, marker)
    promoter = Promoter(backend.waiting, backend.ledger, backend.bus, fleet, clock, tell, drift.held)
    roll = Roll(backend.registry, backend.process, clock, tell) if backend.registry is not None else None
    accord = backend.accord
    concord = None
    if accord is not None:
        concord = Concord(accord, backend.process, fleet, clock, tell, sends=sends, store_clock=store_clock)
    reads = roll.reads if roll is not None else lambda: VERSION
    accept = Accept(backend.desk, mint, clock, Randomness(), tell, Aside(backend.bus.depth), reads)
    delivered = [channel for channel in _delivered(settings, fleet) if channels is None or channel in channels]
    return Parts(
        settings=settings,
        keys=keys,
        clock=clock,
        drift=drift,
        tell=tell,
        mint=mint,
        marker=marker,
        links=links,
        backend=backend,
        providers=providers,
        fleet=fleet,
        gate=gate,
        tokens=tokens,
        warden=Warden(backend.keyring, clock, _secrets(settings, keys), Randomness(), tell),
        accept=accept,
        catalogue=Catalogue(backend.types, backend.layouts, clock),
        worker=_worker(settings, backend, fleet, gate, promoter, clock, drift, tell, delivered, tokens, marker, links, accept),
        promoter=promoter,
        repairer=Repairer(
            backend.ledger,
            clock,
            alive=roll.alive if roll is not None else only(backend.process),
            patience=fleet.patience,
            attempts_max=settings.retry.attempts_max,
            tell=tell,
            poke=promoter.poke,
            held=drift.held,
        ),
        inquirer=Inquirer(backend.ledger, fleet, gate, clock, tell, drift.held),
        herald=Herald(backend.endpoints, backend.records, postman, clock, random.SystemRandom().random, tell, drift.held),
        receivers=Receivers(backend.endpoints, backend.records, sealer, postman, clock, Randomness()),
        reporter=Reporter(backend.inbox, backend.bus, clock, tell),
        bulletin=bulletin,
        reminder=Reminder(backend.credentials, fleet, gate, clock, tell, drift.held),
        roll=roll,
        concord=concord,
        sandbox_url=sandbox_url,
        figures=Figures(),
    )
