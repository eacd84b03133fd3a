"""Names to addresses, so that a resolver which says nothing about one name holds up nobody who asks for another.

A look-up is the machine's own, `getaddrinfo`, with its hosts file and whatever else it is set to ask. It blocks, for ten
seconds and more, and can't be called off. The loops give such calls a few threads that all share (uvloop: two), so here
each has a thread of its own. One at a time for a name, however many want it; `MOST` at a time in all; nobody waits
longer than `LOOK_UP_S`, whatever becomes of the thread.
What was found is remembered, and for a while told again when the resolver says nothing more (RFC 8767). For a user's
names nothing is remembered, and their look-ups are counted apart: they can't use up the operator's.
No message holds a name or an address: a URL may be a user's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, cast

from sendwright.drivers.egress.address import SHORTAGE, Endpoint, Network, SockAddr, checked, literal, port_denied
from sendwright.errors import Denied, Unreachable
from sendwright.providers.contract import OURS

LOOK_UP_S = 6.0
"""Longest wait for a name, in seconds: glibc turns to the second name server after five."""
FRESH_S = 30.0
"""Seconds for which a name that was found is not looked up again."""
STALE_S = 3600.0
"""Seconds for which it is told when the resolver says nothing."""
STALE_WAIT_S = 1.0
"""How long the resolver has to say something, in seconds, where there is an older answer to tell instead."""
NAMES_MAX = 1024
MOST = 64
"""Look-ups of operators' names at a time."""
MOST_USERS = 16
"""Look-ups of users' names at a time."""

LookUp = Callable[[str], Sequence[Endpoint]]
"""Blocks; the endpoints have port 0. Raises `Unreachable`."""

_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})
_NO_ADDRESS = getattr(socket, "EAI_NODATA", None)
"""Not every system has it."""


class Silent(Unreachable):
    """The resolver said nothing about the name, neither addresses nor that there are none."""

    def __init__(self) -> None:
        super().__init__("resolve", "the resolver did not answer")


def look_up(host: str) -> Sequence[Endpoint]:
    """The host's addresses by the machine's resolver, never empty; blocks. Raises `Unreachable`, phase `resolve`; phase `pool`
    where this machine is short of what asking takes."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except socket.gaierror as exc:
        if exc.errno == socket.EAI_NONAME:
            raise Unreachable("resolve", "no such name") from None
        if exc.errno == _NO_ADDRESS:
            raise Unreachable("resolve", "the name has no address") from None
        raise Silent from None
    except (OSError, UnicodeError) as exc:
        if isinstance(exc, OSError) and exc.errno in SHORTAGE:
            raise Unreachable("pool", errno.errorcode[exc.errno]) from None
        raise Unreachable("resolve", "the name can't be looked up") from None
    endpoints = [Endpoint(family, cast("SockAddr", address)) for family, _, _, _, address in found if family in _FAMILIES]
    if not endpoints:
        raise Unreachable("resolve", "the name has no address")
    return endpoints


class LookUps:
    """Look-ups that run: one for a name, `most` at a time, the others in turn. `learn` is told what each found."""

    def __init__(self, most: int, ask: LookUp, learn: Callable[[str, Sequence[Endpoint]], None] | None = None) -> None:
        self._places = asyncio.Semaphore(most)
        self._ask = ask
        self._learn = learn
        self._running: dict[str, asyncio.Task[Sequence[Endpoint]]] = {}

    async def find(self, host: str) -> Sequence[Endpoint]:
        """Joins the look-up that runs, or begins one. It goes on when who waits is cancelled. Raises `Unreachable`."""
        task = self._running.get(host)
        if task is None:
            task = self._running[host] = asyncio.create_task(self._run(host))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _run(self, host: str) -> Sequence[Endpoint]:
        try:
            async with self._places:
                found = await _threaded(self._ask, host)
        finally:
            del self._running[host]
        if self._learn is not None:
            self._learn(host, found)
        return found


class _Known(NamedTuple):
    endpoints: Sequence[Endpoint]
    fresh_until: float
    stale_until: float


class Names:
    """What is known of names, and how more is learned. One for a dialer; belongs to the loop in which it is first used."""

    def __init__(self, ask: LookUp = look_up, *, most: int = MOST, most_users: int = MOST_USERS) -> None:
        self._known: dict[str, _Known] = {}
        self._operators = LookUps(most, ask, self._learn)
        self._users = LookUps(most_users, ask)

    async def find(self, host: str, port: int) -> Sequence[Endpoint]:
        """Every address of an operator's host, in the resolver's order, never empty. Raises `Unreachable`, phase `resolve`."""
        spelled = literal(host, port)
        return [spelled] if spelled is not None else _at(await self._find(host), port)

    async def find_checked(
        self, host: str, port: int, allow_private: Iterable[Network] = (), *, scheme: str = "https"
    ) -> Sequence[Endpoint]:
        """The addresses of a user's host that may be called; the name is looked up anew each time.

        Raises `Denied` when there is none, or for the port; `Unreachable`, phase `resolve`, when the name has none."""
        if port_denied(scheme, port):
            raise Denied("this port may not be called")
        spelled = literal(host, port)
        found = [spelled] if spelled is not None else _at(await _within(LOOK_UP_S, self._users.find(host)), port)
        return checked(found, allow_private)

    def doubt(self, host: str) -> None:
        """No address of it could be connected to: it is looked up before it is told again."""
        known = self._known.get(host)
        if known is not None:
            self._known[host] = known._replace(fresh_until=0.0)

    async def _find(self, host: str) -> Sequence[Endpoint]:
        known, clock = self._known.get(host), asyncio.get_running_loop().time
        if known is not None and clock() < known.fresh_until:
            return known.endpoints
        old = known if known is not None and clock() < known.stale_until else None
        try:
            return await _within(LOOK_UP_S if old is None else STALE_WAIT_S, self._operators.find(host))
        except Unreachable as error:
            unheard = isinstance(error, Silent) or error.phase in OURS
            if old is not None and unheard:
                self._known[host] = old._replace(fresh_until=clock() + FRESH_S)
                return old.endpoints
            if not unheard:
                self._known.pop(host, None)
            raise

    def _learn(self, host: str, found: Sequence[Endpoint]) -> None:
        now = asyncio.get_running_loop().time()
        self._known.pop(host, None)
        if len(self._known) >= NAMES_MAX:
            del self._known[next(iter(self._known))]
        self._known[host] = _Known(found, now + FRESH_S, now + STALE_S)


async def _within(seconds: float, finding: Awaitable[Sequence[Endpoint]]) -> Sequence[Endpoint]:
    try:
        async with asyncio.timeout(seconds):
            return await finding
    except TimeoutError:
        raise Silent from None


async def _threaded(ask: LookUp, host: str) -> Sequence[Endpoint]:
    """Runs it in a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[Endpoint]] = loop.create_future()

    def tell(found: Sequence[Endpoint], failure: Exception | None) -> None:
        if answer.done():
            return
        answer.set_result(found) if failure is None else answer.set_exception(failure)

    def run() -> None:
        found: Sequence[Endpoint] = ()
        failure: Exception | None = None
        try:
            found = ask(host)
        except Exception as exc:  # noqa: BLE001 - it is raised where it is awaited
            failure = exc
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, found, failure)

    try:
        threading.Thread(target=run, name="look-up", daemon=True).start()
    except RuntimeError:  # the machine has no more of them
        raise Unreachable("pool", "no more threads") from None
    return await answer


def _at(endpoints: Sequence[Endpoint], port: int) -> Sequence[Endpoint]:
    return [Endpoint(family, cast("SockAddr", (address[0], port, *address[2:]))) for family, address in endpoints]
