"""Start and stop of an embedded Sendwright; the API comes on top of it (serve.py).

Start: store and bus, sandbox, providers, egress, repair of what the process before left open, workers, promoter.
Stop: workers finish what is in flight within `drain_s`, then everything closes in the opposite order.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from sendwright.app.parts import Parts, Subscribers, assemble, make_providers
from sendwright.app.upkeep import kept_up
from sendwright.drivers.embedded import open_sqlite
from sendwright.errors import OperatorError
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.server import SandboxServer
from sendwright.settings import Loaded, data_keys

FOREVER_MS = 1 << 53


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
        backend = await self._stack.enter_async_context(open_sqlite(settings.store.url.path, keep_ms=self._keep_ms))
        sandbox_url = await self._sandbox()
        providers = make_providers(settings, sandbox_url)
        self.parts = parts = assemble(settings, keys, tell, backend, providers, sandbox_url)
        self._stack.push_async_callback(parts.gate.close)
        await parts.fleet.reload()
        await parts.repairer.turn()
        if self._roles.plans_and_delivers:
            parts.worker.start()
        if self._roles.schedules:
            loops = {"promoter": parts.promoter.run, "repair": parts.repairer.run}
            self._tasks = [asyncio.create_task(kept_up(name, run, tell)) for name, run in loops.items()]
        return parts

    async def drain(self) -> bool:
        """Takes nothing more; True when everything in flight came to its end within `drain_s`."""
        return await self.parts.worker.drain(self.parts.settings.worker.drain_s)

    async def stop(self) -> None:
        """Closes everything, once it is drained."""
        parts = self.parts
        parts.promoter.stop()
        parts.repairer.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    def _keep_ms(self) -> int:
        """How long keys are remembered: for ever while the wall clock can't be trusted."""
        return FOREVER_MS if self.parts.drift.held() else self._loaded.settings.api.idempotency_keep_s * 1000

    async def _sandbox(self) -> str | None:
        settings = self._loaded.settings
        if not settings.sandbox_channels() or settings.sandbox.listen is None:
            return None
        host, _, port = settings.sandbox.listen.rpartition(":")
        public = urlsplit(settings.api.public_url or "").hostname
        server = SandboxServer(SandboxOptions(host=host, port=int(port), callback_hosts=(public,) if public else ()))
        fixed = self._loaded.sources.get("sandbox.listen", "default") != "default"
        try:
            bound = await server.start(host, int(port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or fixed:
                raise OperatorError(f"the sandbox can't listen on {settings.sandbox.listen}: {error.strerror}") from error
            bound = await server.start(host, 0)
        self._stack.push_async_callback(server.stop)
        return f"http://{host}:{bound}"
