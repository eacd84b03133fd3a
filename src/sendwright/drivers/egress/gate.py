"""The only way out: every call of every provider leaves through here, by the kind of its request.

A provider that was never configured has no way out. Whether its addresses are checked is said in its `Route`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from sendwright.drivers.egress.apprise import Apprise
from sendwright.drivers.egress.console import Console
from sendwright.drivers.egress.dial import Dialer
from sendwright.drivers.egress.own import Own
from sendwright.drivers.egress.pool import LinePool, Pool, Route, Usage
from sendwright.drivers.egress.smtp_pool import MailPool
from sendwright.engine.ports import Line
from sendwright.errors import Unreachable
from sendwright.providers.contract import (
    AppriseRequest,
    ConsoleLine,
    InboxItem,
    MailRequest,
    OwnCredentials,
    Passenger,
    Request,
)

__all__ = ["Gate", "Route", "Usage"]


class Gate:
    """`ports.Egress`. `routes` by the provider's name; `tls` replaces the system's certificates and defaults."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        *,
        tls: ssl.SSLContext | None = None,
        console: TextIO | None = None,
        inbox: Callable[[str], Line] | None = None,
    ) -> None:
        """`inbox`: the line of a provider that puts things into people's inboxes."""
        self._dialer = Dialer(tls)
        self._console = Console(console)
        self._inbox = inbox
        self._apprise = Apprise()
        self._own = Own()
        self._routes = dict(routes)
        self._pools: dict[str, Pool] = {provider: Pool(route, self._dialer) for provider, route in routes.items()}
        self._mail: dict[str, MailPool] = {}
        self._closed = False

    def configure(self, provider: str, route: Route) -> None:
        """Sets a provider's route, also while it is in use. Raises `ValueError` for a network that can't be read."""
        pool = self._pools.get(provider)
        if pool is None:
            self._pools[provider] = Pool(route, self._dialer)
        else:
            pool.configure(route)
        self._routes[provider] = route
        if provider in self._mail:
            self._mail[provider].configure(route)

    async def open(self, provider: str, request: Request, within_s: float) -> Line:
        """A connected line for this request, and `within_s` seconds for all that is done with it, connecting included. Raises
        `Unreachable` when there is none in time, and `ValueError`, before anything is connected, for a request that can't be
        written safely."""
        pool = self._pools.get(provider)
        if pool is None:
            raise Unreachable("pool", "this provider has no route")
        if isinstance(request, ConsoleLine):
            return self._console
        if isinstance(request, AppriseRequest):
            return await self._apprise.lease(within_s)
        if isinstance(request, OwnCredentials):
            return self._own
        if isinstance(request, InboxItem):
            if self._inbox is None:
                raise Unreachable("pool", "there is no inbox here")
            return self._inbox(provider)
        if isinstance(request, Passenger):
            raise ValueError("a message that shares a call has no line of its own")  # noqa: TRY004 -- as for every request
        if isinstance(request, MailRequest):
            return await self._mail_of(provider).lease(request, within_s)
        return await pool.lease(request, within_s)

    def _mail_of(self, provider: str) -> MailPool:
        """Made when the first mail comes: few providers send any."""
        if self._closed:
            raise Unreachable("pool", "closed")
        if provider not in self._mail:
            self._mail[provider] = MailPool(self._routes[provider], self._dialer)
        return self._mail[provider]

    def stats(self) -> dict[str, Usage]:
        """Lines in hand and at rest, by provider."""
        return {provider: self._mail.get(provider, pool).usage for provider, pool in self._pools.items()}

    async def close(self) -> None:
        """Closes every line: running exchanges are `Lost`, later calls `Unreachable`."""
        self._closed = True
        pools: list[LinePool[Any]] = [*self._pools.values(), *self._mail.values()]
        for pool in pools:
            await pool.close()
