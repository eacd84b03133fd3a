"""What `check` finds out: the store, what was switched at run time, each provider's host, callbacks, and what to mind.

It sends nothing, makes no file and no key. A store that is free is opened as a start would open it, with its own tests.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from sendwright.app.engines import open_bus, require
from sendwright.app.machine import SystemClock
from sendwright.app.parts import callback_base, is_private, routes_of
from sendwright.app.standings import REACH_NOBODY, sample
from sendwright.cli.api import Api, NoAnswer, Refused
from sendwright.cli.reach import api_of
from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.embedded import open_sqlite
from sendwright.engine.ports import Credentials, Switchboard
from sendwright.errors import OperatorError, Unavailable
from sendwright.model.notices import Credential
from sendwright.model.records import Order, Switch
from sendwright.policy.notices import DAYS, days_left
from sendwright.policy.unsubscribing import EMAIL
from sendwright.providers import registry
from sendwright.providers.contract import EVERY_CHANNEL, HttpRequest, MailRequest, Outgoing, Provider
from sendwright.settings import Loaded, Row, Settings
from sendwright.settings.describing import toml
from sendwright.settings.keys import ADMIN_KEY_FILE, SECRET_KEY_FILE

CONNECT_S = 5.0
"""How long a connection to a provider's host may take, in seconds."""
AT_ONCE = 16
AT_HOME = frozenset({"console", "inbox"})
"""The transports that reach no other host."""
RUN_TIME = "run time"

Ends = Mapping[str, int]
"""When providers' credentials end, in ms since 1970, as far as the store knows."""


class Tried(Struct, frozen=True):
    """One thing that was tried."""

    name: str
    ok: bool
    detail: str


class Found(Struct, frozen=True):
    """Everything that was found."""

    tried: list[Tried]
    warnings: list[str]
    switched: list[Row]
    """What was switched at run time and overrides the settings."""

    @property
    def ok(self) -> bool:
        return all(tried.ok for tried in self.tried)


class Known(Struct, frozen=True):
    """What the store, or the process that has it, knows beside the settings."""

    switches: Sequence[Switch] = ()
    """What was switched at run time."""
    orders: Sequence[Order] = ()
    ends: Ends = {}

    def rows(self) -> Iterator[Row]:
        for switch in self.switches:
            for name in ("enabled", "weight", "rate", "concurrency"):
                value = getattr(switch, name)
                if value is not None:
                    shown = str(value).lower() if isinstance(value, bool) else str(value)
                    yield Row(f"providers.{switch.provider}.{name}", shown, "", RUN_TIME, "")
        for order in self.orders:
            yield Row(f"routes.{order.channel}.providers", toml(order.providers), "", RUN_TIME, "")


def examine(loaded: Loaded) -> Found:
    """Tries everything that these settings name."""
    settings = loaded.settings
    providers = [registry.make(name, raw) for name, raw in settings.providers.items()]
    engines, known = _file(loaded) if settings.embedded else asyncio.run(_servers(settings))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = list(pool.map(_provider, providers))
    warnings = [*_warnings(settings, providers), *_endings(providers, known.ends), *_open_files(settings)]
    return Found([*engines, *tried, *_callbacks(settings, providers)], warnings, [*known.rows()])


# Store and bus


async def _servers(settings: Settings) -> tuple[list[Tried], Known]:
    """PostgreSQL, its schema and what was switched; and the broker. Nothing is made in either."""
    store, known = await tried_store(settings)
    return [store, await tried_bus(settings)], known


async def tried_store(settings: Settings) -> tuple[Tried, Known]:
    """PostgreSQL: whether it lets us in, and its schema fits."""
    url = settings.store.url
    try:
        require(url.engine)
        from sendwright.drivers.clustered import open_postgres  # noqa: PLC0415 -- an extra

        async with open_postgres(url, bus=MemoryBus(SystemClock())) as store:
            known = await _known(store.switchboard, store.credentials)
    except (OperatorError, Unavailable) as error:
        return Tried("store", ok=False, detail=f"{url.shown}: {error}"), Known()
    return Tried("store", ok=True, detail=f"{url.shown} answers, and its schema fits"), known


async def _known(board: Switchboard, credentials: Credentials) -> Known:
    _, switches = await board.read()
    return Known(switches, await board.orders(), ends_of(await credentials.known()))


async def tried_bus(settings: Settings) -> Tried:
    """The broker: whether it lets us in. No queue is made."""
    url = settings.bus.url
    try:
        async with open_bus(settings, lanes=()):
            pass
    except (OperatorError, Unavailable) as error:
        return Tried("bus", ok=False, detail=f"{url.shown}: {error}")
    return Tried("bus", ok=True, detail=f"{url.shown} takes connections")


def _file(loaded: Loaded) -> tuple[list[Tried], Known]:
    path = loaded.settings.store.url.path
    if _is_held(path):
        store, known = _running(loaded, path)
        return [store], known
    if not path.exists():
        return [_to_be_made(path)], Known()
    try:
        known = asyncio.run(_opened(path))
    except (OperatorError, OSError) as error:
        return [Tried("store", ok=False, detail=str(error))], Known()
    return [Tried("store", ok=True, detail=f"{path} opens, and no process uses it")], known


def _is_held(path: Path) -> bool:
    """Whether a process has the file's lock; it is let go at once where we got it ourselves."""
    try:
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _running(loaded: Loaded, path: Path) -> tuple[Tried, Known]:
    """The process that holds the file is asked."""
    held = f"{path} is held by a running process"
    try:
        api = api_of(loaded)
        ready = api.get("/readyz")
    except Refused as error:
        return Tried("store", ok=False, detail=f"{held}, which is not ready: {error}"), Known()
    except (NoAnswer, OperatorError) as error:
        return Tried("store", ok=False, detail=f"{held}, and {error}"), Known()
    parts = ", ".join(f"{name} {value}" for name, value in ready.items() if name != "ready")
    return Tried("store", ok=True, detail=f"{held}, ready at {api.base} ({parts})"), _switched_in(api, loaded.settings)


def _switched_in(api: Api, settings: Settings) -> Known:
    """What the running process does otherwise than these settings say."""
    standings, routes = _asked(api, "/v1/providers"), _asked(api, "/v1/routes")
    orders = [Order(route["channel"], tuple(route["providers"])) for route in routes if route["source"] == "run_time"]
    shown = {each["name"]: each["credential"]["expires_at"] for each in standings if each.get("credential")}
    ends = {name: int(datetime.fromisoformat(text).timestamp() * 1000) for name, text in shown.items()}
    return Known([_difference(settings, standing) for standing in standings], orders, ends)


def _asked(api: Api, path: str) -> list[dict[str, Any]]:
    try:
        listed: list[dict[str, Any]] = api.listed(path, {})["data"]
    except (NoAnswer, Refused):
        return []
    return listed


def _difference(settings: Settings, standing: dict[str, Any]) -> Switch:
    name, enabled = standing["name"], None if standing["enabled"] else False
    if name not in settings.providers:
        return Switch(name, enabled=enabled)
    own = registry.make(name, settings.providers[name]).settings
    return Switch(
        name,
        enabled=enabled,
        rate=standing["rate"] if standing["rate"] != own.rate else None,
        concurrency=standing["concurrency"] if standing["concurrency"] != own.concurrency else None,
    )


async def _opened(path: Path) -> Known:
    async with open_sqlite(path) as backend:
        return await _known(backend.switchboard, backend.credentials)


def ends_of(known: Mapping[str, Credential]) -> Ends:
    """What the store knows of the credentials that have an end."""
    return {name: each.ends_at for name, each in known.items() if each.ends_at is not None}


def _to_be_made(path: Path) -> Tried:
    place = next(folder for folder in path.absolute().parents if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        return Tried("store", ok=False, detail=f"{path} can't be made: {place} is not a folder that may be written")
    return Tried("store", ok=True, detail=f"{path} is not there yet; the first start makes it")


# Providers


def _provider(provider: Provider) -> Tried:
    """A connection to the provider's host, and nothing more."""
    name = f"provider {provider.name}"
    target = target_of(provider)
    if provider.capabilities.transport in AT_HOME:
        return Tried(name, ok=True, detail=f"{provider.kind}: needs no connection")
    if target is None:
        return Tried(name, ok=True, detail=f"{provider.kind}: its host depends on the message; not tried")
    host, port = target
    try:
        create_connection(target, timeout=CONNECT_S).close()
    except OSError as error:
        why = "it took too long" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
        return Tried(name, ok=False, detail=f"{provider.kind}: no connection to {host}:{port} ({why})")
    return Tried(name, ok=True, detail=f"{provider.kind}: {host}:{port} takes connections")


def target_of(provider: Provider) -> tuple[str, int] | None:
    """Host and port of the provider's first request, which is built and not sent; else those of its settings. None where every
    message names its own: nobody is connected to who stands in no settings."""
    if provider.capabilities.guarded:
        return None
    channel = provider.capabilities.channels[0]
    tried = Outgoing("check", "check", channel, sample(channel), "check", idempotency_key="check")
    try:
        request = next(provider.flow(tried))
        if isinstance(request, MailRequest):
            return request.host, request.port
        url = request.url if isinstance(request, HttpRequest) else None
    except ValueError:
        url = getattr(provider.settings, "base_url", None) or getattr(provider.settings, "url", None)
    parts = urlsplit(url or "")
    if parts.hostname is None:
        return None
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _callbacks(settings: Settings, providers: Iterable[Provider]) -> Iterator[Tried]:
    """Where each provider that reports back will do so; no failure: without reports messages stay `sent`."""
    for provider in providers:
        if _called_back(provider):
            base = callback_base(settings, provider)
            where = f"come to {base}" if base else "can't arrive: [api] public_url is not set"
            yield Tried(f"callbacks {provider.name}", ok=True, detail=where)


def _called_back(provider: Provider) -> bool:
    """A vendor reports over HTTP; the inbox, which is kept here, does not."""
    return provider.capabilities.receipts and provider.capabilities.transport not in AT_HOME


# What to mind


def _warnings(settings: Settings, providers: Sequence[Provider]) -> Iterator[str]:
    channels = settings.sandbox_channels()
    if channels:
        shown = "any channel" if set(channels) >= set(EVERY_CHANNEL) else ", ".join(channels)
        yield f"the sandbox is in use: no real person gets what is sent by {shown}"
    for provider in providers:
        common = provider.settings
        if provider.kind == "sandbox":
            yield f"{provider.name} is a sandbox: no real person gets what it is given"
        if "sms" in provider.capabilities.channels and common.rate is None and provider.kind not in REACH_NOBODY:
            yield f"{provider.name} sends SMS without a limit: set rate"
        if _called_back(provider) and callback_base(settings, provider) is None:
            yield f"{provider.name} can't report back: set [api] public_url to what it can reach"
    if _mails(settings, providers) and not (settings.api.public_url or "").startswith("https:"):
        yield "marketing mail needs an https [api] public_url: its links to unsubscribe lead there, and one click takes https"
    if settings.api.public_url is None and not is_private(settings.listens_on()[0]):
        yield "[api] public_url is not set, while the API listens on more than this machine"


def _endings(providers: Iterable[Provider], known: Ends) -> Iterator[str]:
    """Credentials that a person must renew soon: by the settings, else by what the vendor last said."""
    now = SystemClock().now_ms()
    for provider in providers:
        named, asked = provider.lives_until, known.get(provider.name) if provider.capabilities.expires else None
        ends_at = asked if named is None else int(named * 1000)
        left = None if ends_at is None else days_left(ends_at, now)
        if left is not None and left <= max(DAYS):
            when = "is over" if left == 0 else f"ends in {left} day{'s' if left > 1 else ''}"
            yield f"{provider.name}: its {provider.credential} {when}: renew it"


def _mails(settings: Settings, providers: Sequence[Provider]) -> bool:
    """Whether real people get mail."""
    routes = routes_of(settings, {provider.name: provider for provider in providers})
    return any(provider.name in routes.get(EMAIL, ()) and provider.kind not in REACH_NOBODY for provider in providers)


def _open_files(settings: Settings) -> Iterator[str]:
    """Keys that others on this machine can read."""
    data = settings.data
    for path, mode in ((data, 0o700), (data / ADMIN_KEY_FILE, 0o600), (data / SECRET_KEY_FILE, 0o600)):
        try:
            found = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if found & 0o077:
            yield f"{path} is open to others: chmod {mode:o} {path}"
