"""Serving: the API over uvicorn in the process's own event loop, signals, and the order of going down.

The first SIGTERM (or Ctrl-C) drains: no new connections, event streams end, requests and calls in flight finish. Both begin
with the signal, and `drain_s` bounds both. A second one exits at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial

import uvicorn
from msgspec.structs import replace
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sendwright.app import descriptors, logs
from sendwright.app.backups import backup_of
from sendwright.app.fetching import Fetches
from sendwright.app.metrics import Metrics
from sendwright.app.parts import SANDBOX, Parts, public_base, route_to_endpoints, rules_of
from sendwright.app.running import Roles, Running
from sendwright.app.standings import Standings
from sendwright.app.stderr import Stderr
from sendwright.app.upkeep import compare_clocks
from sendwright.drivers.egress.address import networks
from sendwright.engine.ports import Clock
from sendwright.errors import OperatorError, Unavailable
from sendwright.settings import Loaded, Settings, address_of, host_port
from sendwright.web.api.app import build_served, build_watched
from sendwright.web.api.services import Services
from sendwright.web.dashboard.app import with_dashboard
from sendwright.web.dashboard.signing_in import make_link

READY_S = 2.0
"""How long the store may take to say how it stands."""
CLOSING_S = 10
"""How long requests that are under way may take to finish, in seconds; `drain_s` where that is less."""


class _Server(uvicorn.Server):
    """Signals are ours to handle: draining has more to do than the server knows of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


Started = Callable[[Parts, str | None, str | None], None]
"""Is told the address, None for a process that serves nothing; and the path of a link that signs one person in to the
dashboard, None but for `up`."""


async def serve(loaded: Loaded, roles: Roles, started: Started) -> int:
    """Runs these roles until told to stop; returns the exit code."""
    stderr = logs.set_up()
    descriptors.raise_limit()
    draining, log = asyncio.Event(), logs.Logs()

    def begun(parts: Parts, address: str | None, link: str | None) -> None:
        parts.tell.add(log.tell, *log.HEARD)
        compare_clocks(parts)
        _on_signals(draining)
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        started(parts, address, link)

    await serve_until(draining, loaded, roles, begun, stderr=stderr)
    return 0


async def serve_until(
    draining: asyncio.Event,
    loaded: Loaded,
    roles: Roles,
    started: Started,
    *,
    clock: Clock | None = None,
    stderr: Stderr | None = None,
) -> None:
    """The same in an event loop of anybody's, until `draining` is set: no signals, no logs. `clock` replaces the machine's."""
    listen = _listen_of(loaded.settings, roles)
    listening = _bind(listen) if listen is not None else None
    address = None
    if listening is not None:
        host, port = listening.getsockname()[:2]
        address = address_of(host, port)
        loaded = _listening_on(loaded, port) if roles.serves else loaded
    running = Running(loaded, roles, clock)
    try:
        parts = await running.start()
    except BaseException:
        if listening is not None:
            listening.close()
        raise
    metrics = Metrics(parts, stderr)
    parts.tell.add(metrics.tell, *metrics.HEARD)
    server, serving, link = None, asyncio.create_task(_wait(draining)), None
    if listening is not None:
        services = _services(parts, roles, metrics, draining)
        server = _server_of(services, parts, roles)
        link = await make_link(services) if roles.alone else None
        serving = asyncio.create_task(server.serve(sockets=[listening]))
    started(parts, address, link)
    await _until_told(draining, serving)
    if server is not None:
        server.should_exit = True
    await asyncio.gather(serving, running.drain())
    await running.stop()


def _listen_of(settings: Settings, roles: Roles) -> str | None:
    if roles.serves:
        return settings.api.listen
    return settings.worker.listen if roles.works else settings.scheduler.listen


def _server_of(services: Services, parts: Parts, roles: Roles) -> _Server:
    """The API with the dashboard; of a process that has none, the three calls that tell how it is."""
    closing_s = min(CLOSING_S, parts.settings.worker.drain_s)
    if roles.serves:
        api, front = build_served(services)
        return _Server(_config(with_dashboard(services, api), front, closing_s=closing_s))
    return _Server(_config(build_watched(services), HttpToolsProtocol, closing_s=closing_s))


async def _wait(draining: asyncio.Event) -> None:
    await draining.wait()


def _bind(listen: str) -> socket.socket:
    """The socket, before anything else starts: a port that is taken must stop the start."""
    host, port = host_port(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise OperatorError(f"can't listen on {listen}: {error.strerror}") from error
    sock.setblocking(False)  # noqa: FBT003 — the standard library's own signature
    return sock


def _listening_on(loaded: Loaded, port: int) -> Loaded:
    """With the port that was bound in the place of 0, so that callbacks find their way."""
    settings = loaded.settings
    host = settings.api.listen.rpartition(":")[0]
    return replace(loaded, settings=replace(settings, api=replace(settings.api, listen=f"{host}:{port}")))


def _config(app: object, front: type[asyncio.Protocol], *, closing_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="none",
        http=front,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=closing_s,  # type: ignore[arg-type]  # it is handed on to the loop, which takes fractions
        backlog=2048,
    )


def _on_signals(draining: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def told() -> None:
        if draining.is_set():
            os._exit(1)
        draining.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)


async def _until_told(draining: asyncio.Event, serving: asyncio.Task[None]) -> None:
    told = asyncio.create_task(draining.wait())
    await asyncio.wait({told, serving}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    draining.set()


async def _ready(parts: Parts, roles: Roles) -> tuple[bool, Mapping[str, object]]:
    """Whether this process's roles can work. A door needs its bus alone; all else needs the store too."""
    backend, settings = parts.backend, parts.settings
    store = await _store_stands(parts)
    takes = bool(getattr(backend.bus, "writable", True))
    bus = settings.bus.url.engine if takes else "takes nothing now"
    able = takes and (store == settings.store.url.engine or not (roles.works or roles.schedules))
    return able, {"store": store, "bus": bus}


async def _store_stands(parts: Parts) -> str:
    """The engine's name, or what is wrong with it."""
    try:
        async with asyncio.timeout(READY_S):
            await parts.backend.switchboard.read()
            writable = await parts.backend.writable()
    except (Unavailable, TimeoutError):
        return "does not answer"
    return parts.settings.store.url.engine if writable else "takes no writes"


def _services(parts: Parts, roles: Roles, metrics: Metrics, draining: asyncio.Event) -> Services:
    settings = parts.settings
    channels = frozenset(parts.fleet.channels)  # one that is switched off is still there: its messages wait

    return Services(
        clock=parts.clock,
        mint=parts.mint,
        accept=parts.accept,
        desk=parts.backend.desk,
        ledger=parts.backend.ledger,
        records=parts.backend.records,
        dead=parts.backend.quarantine,
        directory=parts.backend.directory,
        suppressions=parts.backend.suppressions,
        marker=parts.marker,
        links=parts.links,
        sessions=parts.backend.sessions,
        types=parts.backend.types,
        layouts=parts.backend.layouts,
        catalogue=parts.catalogue,
        bus=parts.backend.bus,
        inbox=parts.backend.inbox,
        reporter=parts.reporter,
        backup=_backup(parts),
        endpoints=parts.backend.endpoints,
        receivers=parts.receivers,
        endpoint_private=networks(settings.api.endpoint_private),
        inbox_origins=frozenset(settings.api.inbox_origins),
        fleet=Standings(parts),
        providers=parts.providers,
        channels=lambda: channels,
        poke=parts.promoter.poke,
        ready=partial(_ready, parts, roles),
        metrics=metrics.render,
        admin_key=parts.keys.admin_key,
        warden=parts.warden,
        signing_key=parts.keys.secret_key.reveal().encode(),
        public_url=public_base(settings),
        fetching=Fetches(parts.gate, parts.clock),
        rules=rules_of(parts),
        ingress_tenant=settings.bus.ingress_tenant,
        docs_open=_is_loopback(settings.listens_on()[0]),
        sandbox_url=parts.sandbox_url,
        metrics_key=settings.api.metrics_key,
        draining=draining,
        connections_max=descriptors.for_callers(_lines(parts)),
    )


def _backup(parts: Parts) -> Callable[[], Awaitable[AsyncIterator[bytes]]] | None:
    """None where the store is not a file of this process's own."""
    copied = getattr(parts.backend, "copied", None)
    return None if copied is None else backup_of(copied, parts.settings.data)


def _lines(parts: Parts) -> int:
    """Descriptors of all providers' and endpoints' lines. Our own sandbox has the other end of its lines too."""
    ours = {name for name, provider in parts.providers.items() if provider.kind == SANDBOX and parts.sandbox_url is not None}
    providers = sum(parts.fleet.accounts[name].concurrency * (2 if name in ours else 1) for name in parts.providers)
    return providers + route_to_endpoints(parts.settings).concurrency


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
