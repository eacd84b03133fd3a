"""The lines of one provider: at most so many at a time, kept for a while, the most recently used first.

the limit counts lines in hand and lines at rest, over all origins of the provider; who comes when all are in hand
waits in turn, and is `Unreachable` in phase `pool` when its time is over
a line at rest is handed out only when it is younger than `idle_s` and nobody has hung up on it
a call has one time limit, from the wish for a line to the last byte of the answer: connecting takes seven tenths of it at most, and
with less than a quarter left nothing is written, since an answer that nobody waits for is a doubt
a line that comes back in the middle of an exchange is closed; so is one that was connected under another guard
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Hashable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from sendwright.drivers.egress.address import Network, networks
from sendwright.drivers.egress.dial import Dialer
from sendwright.drivers.egress.http import Connection
from sendwright.drivers.egress.wire import BODY_CAP, Encoded, Origin, encode
from sendwright.errors import Unreachable
from sendwright.providers.contract import Answer, HttpRequest, NotSent, Request

RECENT_S = 0.1
"""Who hung up on a line longer ago than that, the loop has seen; the kernel is asked about older rests, and once more
right before the write (http.py). Each question lets go of the interpreter, which a busy thread then keeps for a while."""

CONNECTED_BY = 0.7
"""The share of a call's time by which it must have a line."""
BEGUN_BY = 0.75
"""The share of a call's time by which it must be written."""


class Route(Struct, frozen=True, kw_only=True):
    """How calls of one provider go out."""

    concurrency: int = 200
    """Most lines at a time."""
    idle_s: float = 15
    """How long a line may rest and be used again, in seconds: less than the other side's own limit."""
    guarded: bool = False
    """Whether its URLs are a user's, and every address is checked. Otherwise they are the operator's word."""
    allow_private: tuple[str, ...] = ()
    """Networks that a guarded route may call all the same, such as `10.20.0.0/16`."""
    body_cap: int = BODY_CAP
    """Longest body of an answer, in bytes."""


class Usage(Struct, frozen=True):
    """What a provider's lines are doing."""

    in_flight: int
    idle: int


class Terms(NamedTuple):
    """What a connection was made under: it serves no call under other terms."""

    guard: tuple[Network, ...] | None
    body_cap: int


class Written(Protocol):
    """A request in bytes, and where it goes: lines are kept by that."""

    @property
    def origin(self) -> Hashable: ...


class Wire(Protocol):
    """A connection, as a pool sees it."""

    idle_since: float

    @property
    def open(self) -> bool: ...

    @property
    def intact(self) -> bool: ...

    def now(self) -> float: ...

    def exchange(self, request: Any, within_s: float) -> Awaitable[Answer]: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Wire)


class PooledLine(Generic[C]):
    """One lease of a connection: `ports.Line`."""

    __slots__ = ("_begin_by", "_connection", "_deadline", "_encoded", "_pool", "_request")

    def __init__(
        self, pool: LinePool[C], connection: C, request: Request, encoded: Written, asked_at: float, within_s: float
    ) -> None:
        self._pool = pool
        self._connection: C | None = connection
        self._request = request
        self._encoded = encoded
        self._begin_by: float | None = asked_at + BEGUN_BY * within_s
        self._deadline = asked_at + within_s

    @property
    def open(self) -> bool:
        return self._connection is not None and self._connection.open

    async def send(self, request: Request, within_s: float) -> Answer:
        """Another request than the line was opened for must go to the same origin; raises `ValueError` otherwise."""
        if self._connection is None:
            return NotSent("late", "the line was given back")
        encoded = self._encoded if request is self._request else self._other(request)
        now = self._connection.now()
        if self._begin_by is not None and now > self._begin_by:
            return NotSent("late", "too little time left")
        self._begin_by = None
        return await self._connection.exchange(encoded, min(within_s, self._deadline - now))

    def _other(self, request: Request) -> Written:
        encoded = self._pool.encoded(request)
        if encoded.origin != self._encoded.origin:
            raise ValueError("the line was opened to another origin")
        return encoded

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(connection, self._encoded.origin)


class LinePool(ABC, Generic[C]):
    """A provider's lines, whatever they speak. `configure` changes its route; `close` ends it for good."""

    def __init__(self, route: Route, dialer: Dialer) -> None:
        self._dialer = dialer
        self._in_hand = 0
        """Turns that were granted; who has one has a line, or is getting one."""
        self._out = 0
        """Lines that somebody has, the ones that are being connected included."""
        self._resting = 0
        self._idle: dict[Hashable, list[C]] = {}
        self._live: dict[C, tuple[Hashable, Terms]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._route, self._terms = route, _terms(route)

    def configure(self, route: Route) -> None:
        """Holds for every line handed out from now on. Raises `ValueError` for a network that can't be read."""
        self._route, self._terms = route, _terms(route)
        for connection, (origin, terms) in list(self._live.items()):
            if terms != self._terms and self._is_idle(connection, origin):
                self._drop(connection)
        self._make_room()
        self._grant()

    @property
    def usage(self) -> Usage:
        return Usage(self._in_hand, self._resting)

    @abstractmethod
    def encoded(self, request: Request) -> Written:
        """The request in bytes. Raises `ValueError`."""

    @abstractmethod
    async def dialled(self, origin: Any, terms: Terms, deadline: float) -> C:
        """A connection that is ready for a request. Raises `Unreachable`."""

    async def lease(self, request: Request, within_s: float) -> PooledLine[C]:
        """A connected line for the request, and for `within_s` seconds from now. Raises `Unreachable`, and `ValueError` for
        what can't be written."""
        encoded = self.encoded(request)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        connect_by = now + CONNECTED_BY * within_s
        if self._waiting or self._in_hand >= self._route.concurrency or self._emptied is not None:
            await self._turn(connect_by)
        else:
            self._in_hand += 1
        try:
            connection = self._rested(encoded.origin, now)
            if connection is None or not await self._fresh(connection, connect_by):
                connection = await self._connect(encoded.origin, connect_by)
        except BaseException:
            self._free()
            raise
        return PooledLine(self, connection, request, encoded, now, within_s)

    def give_back(self, connection: C, origin: Hashable) -> None:
        self._out -= 1
        fits = self._out + self._resting < self._route.concurrency and self._emptied is None
        if fits and connection.intact and self._live.get(connection) == (origin, self._terms):
            connection.idle_since = connection.now()
            self._idle.setdefault(origin, []).append(connection)
            self._resting += 1
            if self._sweeper is None:
                self._sweep_in(self._route.idle_s)
        else:
            connection.close()
        self._free()

    async def close(self) -> None:
        """Ends what runs (`Lost`) and who waits (`Unreachable`); returns when every socket is closed."""
        self._emptied = asyncio.Event()
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(Unreachable("pool", "closed"))
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._live):
            connection.close()
        if self._live:
            await self._emptied.wait()

    # The turn: a place among the lines in hand.

    async def _turn(self, deadline: float) -> None:
        if self._emptied is not None:
            raise Unreachable("pool", "closed")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as exc:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free()  # it was granted in the moment in which it was given up
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(exc, TimeoutError):
                raise Unreachable("pool", "every line is in use") from None
            raise

    def _free(self) -> None:
        self._in_hand -= 1
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self._in_hand < self._route.concurrency:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_hand += 1
                turn.set_result(None)

    # The lines at rest.

    def _rested(self, origin: Hashable, now: float) -> C | None:
        lines = self._idle.get(origin)
        oldest, recent = now - self._route.idle_s, now - RECENT_S
        while lines:
            connection = lines[-1]
            self._unrest(connection, origin)
            if connection.idle_since > oldest and (connection.intact if connection.idle_since > recent else connection.open):
                self._out += 1
                return connection
            connection.close()
        return None

    async def renewed(self, connection: C, deadline: float) -> bool:
        """Whether one that has rested may be used again, where that takes a word with the other side."""
        return True

    async def _fresh(self, connection: C, deadline: float) -> bool:
        good = False
        try:
            good = await self.renewed(connection, deadline)
        finally:
            if not good:
                self._out -= 1
                connection.close()
        return good

    async def _connect(self, origin: Hashable, deadline: float) -> C:
        terms = self._terms
        self._out += 1
        self._make_room()
        try:
            connection = await self.dialled(origin, terms, deadline)
        except BaseException:
            self._out -= 1
            raise
        if connection.intact:
            self._live[connection] = (origin, terms)
        if self._emptied is not None:
            connection.close()
        return connection

    def _make_room(self) -> None:
        """Closes the longest rested lines, of whatever origin, until the limit holds."""
        while self._resting and self._out + self._resting > self._route.concurrency:
            self._drop(min((lines[0] for lines in self._idle.values()), key=lambda c: c.idle_since))

    def _sweep_in(self, seconds: float) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(max(seconds, 0.05), self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        resting = [connection for lines in self._idle.values() for connection in lines]
        kept = [c.idle_since for c in resting if c.idle_since > now - self._route.idle_s]
        for connection in resting:
            if connection.idle_since <= now - self._route.idle_s:
                self._drop(connection)
        if kept:
            self._sweep_in(min(kept) + self._route.idle_s - now)

    def _is_idle(self, connection: C, origin: Hashable) -> bool:
        return connection in self._idle.get(origin, ())

    def _unrest(self, connection: C, origin: Hashable) -> None:
        lines = self._idle[origin]
        lines.remove(connection) if lines[-1] is not connection else lines.pop()
        self._resting -= 1
        if not lines:
            del self._idle[origin]

    def _drop(self, connection: C) -> None:
        self._unrest(connection, self._live[connection][0])
        connection.close()

    def _lost(self, connection: C) -> None:
        """The loop's word that a connection is gone, whoever closed it."""
        origin, _ = self._live.pop(connection, (None, None))
        if origin is not None and self._is_idle(connection, origin):
            self._unrest(connection, origin)
        if self._emptied is not None and not self._live:
            self._emptied.set()


class Pool(LinePool[Connection]):
    """Lines that speak HTTP."""

    def encoded(self, request: Request) -> Encoded:
        if not isinstance(request, HttpRequest):
            raise ValueError("not an HTTP request")  # noqa: TRY004 -- every refusal of a request is a ValueError
        return encode(request)

    async def dialled(self, origin: Origin, terms: Terms, deadline: float) -> Connection:
        return await self._dialer.dial(origin, lambda: Connection(terms.body_cap, self._lost), deadline, terms.guard)


def _terms(route: Route) -> Terms:
    return Terms(networks(route.allow_private) if route.guarded else None, route.body_cap)
