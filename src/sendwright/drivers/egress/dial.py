"""From an origin to a connected socket: resolve, connect, TLS. Nothing of a request is written here.

Each step names its phase when it fails (`resolve`, `connect`, `tls`), and so does a deadline that ends it. A shortage of
this machine's own is the phase `pool`, at whatever step it shows.
Addresses are tried in the manner of RFC 8305: families interleaved, the next one started when the last has neither
connected nor failed within `STAGGER_S`; the first to connect wins and the others are closed.
No message names a host or an address: a URL may be a user's.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Protocol, TypeVar, cast

from sendwright.drivers.egress.address import SHORTAGE, Endpoint, Network
from sendwright.drivers.egress.names import Names
from sendwright.errors import Unreachable

STAGGER_S = 0.25
"""Seconds before the next address is tried beside the last one (RFC 8305, section 8)."""

_OTHER_HOST = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_EXPIRED = 10


SECURE = frozenset({"https", "smtps"})
"""What is encrypted from its first byte."""


class Target(Protocol):
    """Where a line goes."""

    @property
    def scheme(self) -> str: ...

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class Dialled(Protocol):
    """What a line is made of: the protocol that the loop speaks to."""

    transport: asyncio.Transport

    @property
    def intact(self) -> bool: ...

    def secured_by(self, transport: asyncio.Transport) -> None: ...

    def close(self) -> None: ...


D = TypeVar("D", bound=Dialled)


class Dialer:
    """Connects lines. One for a gate; `tls` replaces the system's certificates and defaults, `names` what looks names up."""

    def __init__(self, tls: ssl.SSLContext | None = None, names: Names | None = None) -> None:
        self._tls = tls
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._names = names or Names()

    async def dial(self, origin: Target, make: Callable[[], D], deadline: float, guard: Iterable[Network] | None) -> D:
        """Connects what `make` makes to the origin before `deadline` (the loop's time), or raises `Unreachable`.

        With `guard` (the private networks that are allowed all the same) every address is checked first."""
        step = "resolve"
        try:
            async with asyncio.timeout_at(deadline):
                endpoints = await self._endpoints(origin, guard)
                step = "connect"
                connection = await first_connected(endpoints, lambda endpoint: _connected(endpoint, make))
                if origin.scheme in SECURE:
                    step = "tls"
                    await self.secure(origin, connection)
        except (OSError, ValueError) as exc:
            if _is_shortage(exc):
                raise Unreachable("pool", reason(exc)) from None
            if step == "connect":
                self._names.doubt(origin.host)
            raise Unreachable(step, reason(exc)) from None
        return connection

    async def _endpoints(self, origin: Target, guard: Iterable[Network] | None) -> Sequence[Endpoint]:
        if guard is not None:
            return await self._names.find_checked(origin.host, origin.port, guard, scheme=origin.scheme)
        return await self._names.find(origin.host, origin.port)

    async def secure(self, origin: Target, connection: Dialled) -> None:
        """Encrypts a line that is connected, and closes it where that fails, as an `OSError`."""
        if not connection.intact:
            raise ConnectionResetError
        loop = asyncio.get_running_loop()
        try:
            # Not in one step with connecting: it would not be known which of the two failed.
            transport = await loop.start_tls(
                connection.transport,
                cast("asyncio.Protocol", connection),
                self._context(origin.scheme),
                server_hostname=origin.host.rstrip("."),
            )
        except BaseException:
            connection.close()
            raise
        if transport is None:
            raise ConnectionResetError
        connection.secured_by(transport)

    def _context(self, scheme: str) -> ssl.SSLContext:
        if self._tls is not None:
            return self._tls
        if scheme not in self._contexts:
            self._contexts[scheme] = ssl.create_default_context()
            if scheme == "https":
                self._contexts[scheme].set_alpn_protocols(["http/1.1"])
        return self._contexts[scheme]


async def first_connected(
    endpoints: Sequence[Endpoint],
    connect: Callable[[Endpoint], Awaitable[D]],
    stagger_s: float = STAGGER_S,
) -> D:
    """The connection to the first endpoint that answers. When none does, raises the first failure that tells of them, else
    of the shortage here."""
    if len(endpoints) == 1:
        return await connect(endpoints[0])
    waiting = interleaved(endpoints)
    running: set[asyncio.Future[D]] = set()
    failures: list[BaseException] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(connect(waiting.pop(0))))
            done, running = await asyncio.wait(running, timeout=stagger_s if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            failures += [exc for task in done if (exc := task.exception()) is not None]
            winners = [task.result() for task in done if task.exception() is None]
            for spare in winners[1:]:
                spare.close()
            if winners:
                return winners[0]
        raise next((failure for failure in failures if not _is_shortage(failure)), failures[0])
    finally:
        await _call_off(running)


async def _call_off(running: Iterable[asyncio.Future[D]]) -> None:
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            outcome.close()


def _is_shortage(exc: BaseException) -> bool:
    return isinstance(exc, OSError) and exc.errno in SHORTAGE


def interleaved(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """The two families in turn, the resolver's first one first (RFC 8305, section 4)."""
    first = [e for e in endpoints if e.family == endpoints[0].family]
    other = [e for e in endpoints if e.family != endpoints[0].family]
    return [e for e in chain.from_iterable(zip_longest(first, other)) if e is not None]


async def _connected(endpoint: Endpoint, make: Callable[[], D]) -> D:
    """Both loops switch Nagle's delay off by themselves, and look up nothing for an address."""
    host, port = endpoint.sockaddr[:2]
    loop, factory = asyncio.get_running_loop(), cast("Callable[[], asyncio.Protocol]", make)
    _, connection = await loop.create_connection(factory, host, port, family=endpoint.family)
    return cast("D", connection)


def reason(exc: Exception) -> str:
    """What went wrong, without the names and addresses that the exception's own text holds."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        if exc.verify_code in _OTHER_HOST:
            return "the certificate is for another host"
        return "the certificate has expired" if exc.verify_code == _EXPIRED else "the certificate is not trusted"
    if isinstance(exc, ssl.SSLError):
        return f"handshake failed: {exc.reason}" if exc.reason else "handshake failed"
    if isinstance(exc, TimeoutError):
        return "timed out"
    if isinstance(exc, OSError) and exc.errno is not None:
        return errno.errorcode.get(exc.errno, "failed")
    return "closed during the handshake" if isinstance(exc, ConnectionError) else "failed"
