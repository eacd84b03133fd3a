"""Start and stop of what works in a process; the API comes on top of it (serve.py).

Start: sandbox, providers, store and bus, egress, repair of what the process before left open, workers, promoter.
Stop: workers finish what is in flight within `drain_s`, then everything closes in the opposite order.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from sendwright.app import ingress, restoring, upkeep
from sendwright.app.engines import open_engines
from sendwright.app.parts import Parts, Subscribers, assemble, make_providers, marker_of, routes_of
from sendwright.engine.ports import Clock
from sendwright.errors import OperatorError
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.server import SandboxServer
from sendwright.settings import Loaded, Settings, address_of, data_keys, host_port

FOREVER_MS = 1 << 53


class Roles(Struct, frozen=True):
    """Which work this process does."""

    name: str = "up"
    serves: bool = True
    """The API."""
    works: bool = True
    """Plans, delivers, observes."""
    schedules: bool = True
    """Promotes, repairs, sweeps."""
    channels: frozenset[str] | None = None
    """What it delivers; None: every channel."""

    @property
    def alone(self) -> bool:
        """It does everything, and brings its own sandbox and schema."""
        return self.serves and self.works and self.schedules


EVERYTHING = Roles()
API = Roles("api", works=False, schedules=False)
WORKER = Roles("worker", serves=False, schedules=False)
SCHEDULER = Roles("scheduler", serves=False, works=False)


class Running:
    """A Sendwright between start and stop; the API comes on top of it."""

    def __init__(self, loaded: Loaded, roles: Roles = EVERYTHING, clock: Clock | None = None) -> None:
        """`clock` replaces the machine's."""
        self._clock = clock
        self._loaded = loaded
        self._roles = roles
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self.fatal: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> Parts:
        """Everything but the API, running. Raises `OperatorError` for what the operator must mend."""
        try:
            return await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> Parts:
        settings, roles = self._loaded.settings, self._roles
        keys = data_keys(settings.data, settings)
        tell = Subscribers()
        sandbox_url = await self._sandbox() if roles.alone else self._sandbox_elsewhere()
        providers = make_providers(settings, sandbox_url)
        channels = [channel for channel, names in routes_of(settings, providers).items() if names]
        if roles.alone and not settings.embedded:
            await upkeep.migrated(settings)
        if settings.embedded:
            keys = replace(keys, notes=(*keys.notes, *await restoring.resume(settings, routes_of(settings, providers))))
        backend = await self._stack.enter_async_context(
            open_engines(settings, channels, self._keep_ms, tell, marker_of(keys, settings))
        )
        self.parts = parts = assemble(
            settings, keys, tell, backend, providers, sandbox_url, roles.channels, sends=roles.works, clock=self._clock
        )
        self._stack.push_async_callback(parts.gate.close)
        self._stack.push_async_callback(parts.tokens.close)
        await parts.fleet.reload()
        if parts.roll is not None:
            await parts.roll.beat()
            self._stack.push_async_callback(parts.roll.leave)
        if parts.concord is not None:
            await parts.concord.turn()
        if roles.schedules:
            await parts.repairer.turn()
        if roles.works:
            parts.worker.start()
        self._tasks = [asyncio.create_task(upkeep.kept_up(name, run, tell)) for name, run in self._loops(parts).items()]
        return parts

    def _loops(self, parts: Parts) -> dict[str, Callable[[], Awaitable[None]]]:
        """What must run as long as the process does."""
        roles, loops = self._roles, dict[str, Callable[[], Awaitable[None]]]()
        if roles.schedules:
            loops |= {"promoter": parts.promoter.run, "repair": parts.repairer.run}
            loops |= {"audit": partial(upkeep.keep_audit, parts), "sweep": partial(upkeep.sweep, parts)}
            loops |= {"inquire": parts.inquirer.run, "herald": parts.herald.run, "inbox": parts.reporter.run}
            loops |= {"reminder": parts.reminder.run}
            finder = parts.backend.finder
            loops |= {"lost": partial(upkeep.find_lost, parts, finder)} if finder is not None else {}
        else:
            loops |= {"look": partial(upkeep.keep_looking, parts)} if roles.works else {}
            loops["reminder"] = parts.reminder.look_on
        if parts.backend.beat is not None:
            loops["beat"] = partial(upkeep.keep_beat, parts.backend.beat, parts.tell)
        if parts.bulletin is not None:
            loops["bulletin"] = parts.bulletin.run
        if parts.roll is not None:
            loops |= {"roll": parts.roll.run, "switches": partial(upkeep.keep_switches, parts)}
        if roles.works:
            loops |= upkeep.of_bus(parts) | {"versions": partial(upkeep.keep_versions, parts)}
            taking = ingress.loop_of(parts)
            loops |= {"ingress": taking} if taking is not None else {}
        if roles.serves:
            loops["keys"] = parts.warden.run
        return loops | {"figures": partial(upkeep.keep_figures, parts)}

    async def drain(self) -> bool:
        """Takes nothing more; True when everything in flight came to its end within `drain_s`."""
        return await self.parts.worker.drain(self.parts.settings.worker.drain_s)

    async def stop(self) -> None:
        """Closes everything, once it is drained."""
        parts = self.parts
        parts.promoter.stop()
        parts.repairer.stop()
        if parts.concord is not None:
            parts.concord.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    def _keep_ms(self) -> int:
        """How long keys are remembered: for ever while the wall clock can't be trusted."""
        return FOREVER_MS if self.parts.drift.held() else self._loaded.settings.api.idempotency_keep_s * 1000

    def _sandbox_elsewhere(self) -> str | None:
        """Where `sendwright sandbox` is looked for by a process that is one of several."""
        settings = self._loaded.settings
        if not settings.sandbox_channels() or settings.sandbox.listen is None:
            return None
        return address_of(*host_port(settings.sandbox.listen))

    async def _sandbox(self) -> str | None:
        settings = self._loaded.settings
        if not settings.sandbox_channels() or settings.sandbox.listen is None:
            return None
        host, port = host_port(settings.sandbox.listen)
        public = urlsplit(settings.api.public_url or "").hostname
        keys = str(settings.data / "sandbox_keys.json")
        options = SandboxOptions(host=host, port=port, callback_hosts=(public,) if public else (), keys_path=keys)
        try:
            server = SandboxServer(options)
        except OSError as error:
            raise OperatorError(f"the sandbox can't start: {error.strerror}") from error
        self._stack.push_async_callback(server.stop)
        bound = await self._listen(server.start, "sandbox.listen", host, port)
        if settings.sandbox.smtp_listen is not None:
            await self._listen(server.start_smtp, "sandbox.smtp_listen", *host_port(settings.sandbox.smtp_listen))
        return address_of(host, bound)

    async def _listen(self, start: Callable[[str, int], Awaitable[int]], setting: str, host: str, port: int) -> int:
        """The port. Another one than the default where that is taken and nobody named it."""
        try:
            return await start(host, port)
        except OSError as error:
            fixed = self._loaded.sources.get(setting, "default") != "default"
            if error.errno != errno.EADDRINUSE or fixed:
                raise OperatorError(f"the sandbox can't listen on {host}:{port}: {error.strerror}") from error
            return await start(host, 0)


def channels_named(names: Collection[str], settings: Settings) -> frozenset[str]:
    """The channels of `--channels`. Raises `OperatorError` for one that has no provider."""
    routes = routes_of(settings, make_providers(settings, "http://sandbox.invalid"))
    unknown = sorted(set(names) - {channel for channel, providers in routes.items() if providers})
    if unknown:
        raise OperatorError(f"--channels: {', '.join(unknown)}: no provider serves that")
    return frozenset(names)
