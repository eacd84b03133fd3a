"""Calls that providers' callbacks take: a certificate to verify with, a subscription to confirm.

Who causes them has not been verified yet, so they are few: one at a time for a provider, `MOST` a minute, each within
`WITHIN_S`, over lines of their own. A success is kept for `KEPT_S`; a failure is not, for the vendor comes again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque

from sendwright.drivers.egress.gate import Route
from sendwright.engine.ports import Clock, Egress
from sendwright.errors import Unreachable
from sendwright.providers.contract import Answer, HttpRequest, NotSent, Provider, Reply, Request

WITHIN_S = 5.0
"""Total time of a call, and of the wait for its turn, in seconds: vendors wait fifteen for an answer to their callback."""
MOST = 30
"""Calls a minute for a provider."""
KEPT_S = 86_400.0
KEPT_MAX = 64
"""Answers that are kept, of all providers."""

Key = tuple[str, str]


def line_name(provider: str) -> str:
    """Of the route that these calls take. No provider has such a name."""
    return f"{provider}/callbacks"


def route_for_callbacks(provider: Provider) -> Route:
    """Guarded, where the addresses are the callbacks' word."""
    return Route(concurrency=1, guarded=not provider.capabilities.fetches_unguarded)


class Fetches:
    """`web.api.services.Fetching`."""

    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress = egress
        self._clock = clock
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._made: defaultdict[str, deque[float]] = defaultdict(deque)
        self._kept: dict[Key, tuple[float, Reply]] = {}

    async def get(self, provider: str, request: Request) -> Answer:
        key = (provider, request.url if isinstance(request, HttpRequest) else "")
        if (known := self._known(key)) is not None:
            return known
        return await self._in_turn(provider, request, key)

    async def call(self, provider: str, request: Request) -> Answer:
        return await self._in_turn(provider, request, None)

    async def _in_turn(self, provider: str, request: Request, key: Key | None) -> Answer:
        try:
            async with asyncio.timeout(WITHIN_S), self._turns[provider]:
                if key is not None and (known := self._known(key)) is not None:
                    return known
                if not self._may(provider):
                    return NotSent("pool", "too many calls for callbacks")
                answer = await self._made_now(provider, request)
        except TimeoutError:
            return NotSent("pool", "no turn in time")
        if key is not None and isinstance(answer, Reply) and 200 <= answer.status < 300:
            self._keep(key, answer)
        return answer

    async def _made_now(self, provider: str, request: Request) -> Answer:
        try:
            line = await self._egress.open(line_name(provider), request, WITHIN_S)
        except Unreachable as error:
            return NotSent(error.phase, error.detail)
        except ValueError:
            return NotSent("connect", "no request can be sent to this address")
        try:
            return await line.send(request, WITHIN_S)
        finally:
            line.release()

    def _may(self, provider: str) -> bool:
        made, now = self._made[provider], self._clock.monotonic()
        while made and made[0] <= now - 60:
            made.popleft()
        if len(made) >= MOST:
            return False
        made.append(now)
        return True

    def _known(self, key: Key) -> Reply | None:
        until, reply = self._kept.get(key, (0.0, None))
        return reply if self._clock.monotonic() < until else None

    def _keep(self, key: Key, reply: Reply) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (self._clock.monotonic() + KEPT_S, reply)
