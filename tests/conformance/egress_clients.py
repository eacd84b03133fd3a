"""The clients that the egress suite holds to its demands, each on every event loop; and certificates to test TLS with."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import inspect
import ipaddress
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sendwright.drivers.egress.gate import Gate, Route
from sendwright.drivers.egress.pool import RECENT_S
from sendwright.engine.ports import Egress
from sendwright.errors import Unreachable
from sendwright.providers.contract import Answer, HttpRequest
from tests.conformance.egress_server import LIMIT_S, Script, Server

PROVIDER = "acme-main"
Serve = Callable[..., Server]


class Client(Protocol):
    """Makes an egress with one provider, `PROVIDER`, and closes it afterwards."""

    def __call__(self, route: Route = ..., tls: ssl.SSLContext | None = None) -> AbstractAsyncContextManager[Egress]: ...


@asynccontextmanager
async def http_client(route: Route | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Egress]:
    gate = Gate({PROVIDER: route or Route()}, tls=tls)
    try:
        yield gate
    finally:
        await gate.close()


CLIENTS: dict[str, Client] = {"http": http_client}
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_LOOPS = [pytest.param("asyncio", marks=pytest.mark.slow), "uvloop"]
"""The quick run has the loop that the product takes where it is installed."""


LOOK_S = 0.005
HELD_UP_S = 0.02
"""A loop that has not come to a timer for as long has been held up."""
TURNS_MAX = 5


def every_client(story: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Makes a test of a coroutine function: one run for each client and loop.

    It is given the `client`; `serve`, which starts servers that end with the test; and the `authority`, where it asks. What fails
    while the machine held the loop up is played anew: of a short deadline nothing may have been left."""
    asked = inspect.signature(story).parameters

    def test(client: str, loop: str, **given: Any) -> None:
        if "authority" in asked:
            given["authority"] = authority()
        for turn in range(TURNS_MAX):
            gaps = [0.0]
            try:
                with contextlib.ExitStack() as stack:
                    if "serve" in asked:
                        given["serve"] = functools.partial(_serve, stack)
                    runner = stack.enter_context(asyncio.Runner(loop_factory=LOOPS[loop]))
                    runner.run(_watched(story(CLIENTS[client], **given), gaps))
            except (Exception, pytest.fail.Exception):
                if max(gaps) < HELD_UP_S or turn == TURNS_MAX - 1:
                    raise
            else:
                return

    functools.update_wrapper(test, story)
    del test.__wrapped__
    kept = [p for p in asked.values() if p.name not in {"client", "serve", "authority"}]
    added = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("client", "loop")]
    test.__signature__ = inspect.Signature([*added, *kept])
    return pytest.mark.parametrize("client", CLIENTS)(pytest.mark.parametrize("loop", _LOOPS)(test))


async def _watched(story: Awaitable[None], gaps: list[float]) -> None:
    """The story, and how long the loop did not come to its timers meanwhile."""
    loop, seen = asyncio.get_running_loop(), time.monotonic()

    def look() -> None:
        nonlocal seen, looking
        gaps.append(time.monotonic() - seen)
        seen = time.monotonic()
        looking = loop.call_later(LOOK_S, look)

    looking = loop.call_later(LOOK_S, look)
    try:
        await story
    finally:
        looking.cancel()
        gaps.append(time.monotonic() - seen)


def _serve(stack: contextlib.ExitStack, *scripts: Script, tls: ssl.SSLContext | None = None) -> Server:
    server = Server(*scripts, tls=tls)
    stack.callback(server.stop)
    return server


def post(url: str, body: bytes = b"To=%2B15550001&Body=hi", *headers: tuple[str, str]) -> HttpRequest:
    return HttpRequest("POST", url, headers, body)


async def call(egress: Egress, request: HttpRequest, within_s: float = LIMIT_S) -> Answer | Unreachable:
    """One call as the engine makes it; what could not be reached is an outcome here."""
    try:
        line = await egress.open(PROVIDER, request, within_s)
    except Unreachable as exc:
        return exc
    try:
        return await line.send(request, within_s)
    finally:
        line.release()


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until something that is sure to happen has happened."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.002)


async def rested() -> None:
    """Long enough that a client may not go by what its loop last saw."""
    await asyncio.sleep(2 * RECENT_S)


class Authority:
    """A private certificate authority."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self._certificate = self._issue(self._name, self._key.public_key(), self._name, valid_days=1, authority=True)

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts this authority and nobody else."""
        return ssl.create_default_context(cadata=self.own_pem.decode())

    def serving(self, host: str = "127.0.0.1", *, valid_days: int = 1) -> ssl.SSLContext:
        """A server's context with a certificate for this host, expired when `valid_days` is below zero."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.pem(host, valid_days=valid_days))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def pem(self, host: str = "127.0.0.1", *, valid_days: int = 1) -> bytes:
        """Such a certificate, with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._issue(subject, key.public_key(), self._name, valid_days=valid_days, host=host)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def own_pem(self) -> bytes:
        """The authority's own certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def _issue(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        issuer: x509.Name,
        *,
        valid_days: int,
        authority: bool = False,
        host: str | None = None,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        start, end = now - dt.timedelta(days=3), now + dt.timedelta(days=valid_days)
        builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), start, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(own, critical=False)
        if authority:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)  # noqa: FBT003 -- in the order of RFC 5280
            builder = builder.add_extension(usage, critical=True)
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@functools.cache
def authority() -> Authority:
    return Authority()
