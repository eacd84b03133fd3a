"""Who is signed in: sessions in the store, found by the hash of a secret that only a cookie holds.

A session keeps the key that was signed in with, sealed by that same secret, and is asked for it on every request. So it never may
more than its key, and ends when the key is revoked, changed or over, whatever kind of key it is. The store alone tells
nobody a key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from msgspec import Struct

from sendwright.model.sessions import Session
from sendwright.web.api.auth import ADMIN_TENANT, Caller, Keys
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.dashboard.place import Place

IDLE_MS = 2 * 3_600_000
"""So long after its last use a session is over."""
LIFE_MS = 12 * 3_600_000
"""So long after signing in it is over in any case."""
LINK_MS = 15 * 60_000
"""So long a sign-in link is good."""
SEEN_MS = 60_000
"""How exactly the last use is known."""

_SECRET_BYTES = 32
_PLAIN, _HOST = "sendwright_session", "__Host-sendwright_session"


class SignedIn(Struct, frozen=True):
    """One who is."""

    session: Session
    caller: Caller
    csrf: str
    """What every form of this session carries."""


class SignIn:
    """Signs in and out, and knows who is."""

    def __init__(self, services: Services, keys: Keys) -> None:
        self._services = services
        self._keys = keys
        self._csrf_key = hashlib.blake2b(services.signing_key, digest_size=32, person=b"sendwright-csrf").digest()

    def __repr__(self) -> str:
        return "SignIn()"

    async def by_key(self, key: str) -> str:
        """A new session's secret. Raises `Refusal`: 401 for a key that is none, 403 for one that may not read."""
        return await self._begin(key, "key")

    async def by_link(self, secret: str) -> str:
        """The same; nobody else signs in by that link any more. Raises `Refusal` (401) for one that was used or is over."""
        link = await self._services.sessions.take(_id_of(secret))
        if link is None or link.kind != "link" or link.until <= self._services.clock.now_ms():
            raise Refusal(401, "link_over", "This link has been used, or is over. Sign in with a key.")
        return await self._begin(_sealed(secret, link.sealed).decode(), "link")

    async def _begin(self, key: str, way: str) -> str:
        caller = await self._caller(key)
        caller.require("read")
        secret, now = secrets.token_urlsafe(_SECRET_BYTES), self._services.clock.now_ms()
        sealed = _sealed(secret, key.encode())
        await self._services.sessions.add(
            Session(_id_of(secret), "session", caller.tenant, sealed, way, now, now, now + LIFE_MS)  # type: ignore[arg-type]
        )
        return secret

    async def known(self, headers: Mapping[bytes, bytes], place: Place, *, uses: bool) -> SignedIn | None:
        """Who sent this. `uses`: it counts as use, which puts the session's end off."""
        secret = _cookie(headers, place)
        session = None if secret is None else await self._services.sessions.find(_id_of(secret))
        if secret is None or session is None or session.kind != "session":
            return None
        now = self._services.clock.now_ms()
        caller = await self._caller_of(secret, session) if now < min(session.until, session.seen_at + IDLE_MS) else None
        if caller is None:
            await self._services.sessions.end(session.tenant, session.id)
            return None
        if uses and now - session.seen_at >= SEEN_MS:
            await self._services.sessions.seen(session.id, now)
        return SignedIn(session, caller, self._csrf(session))

    async def _caller_of(self, secret: str, session: Session) -> Caller | None:
        """What its key may today; None where that is nothing any more."""
        try:
            caller = await self._caller(_sealed(secret, session.sealed).decode())
        except (Refusal, UnicodeDecodeError):
            return None
        return caller if caller.tenant == session.tenant and "read" in caller.scopes else None

    async def _caller(self, key: str) -> Caller:
        return await self._keys.known({b"authorization": b"Bearer " + key.encode()})

    def _csrf(self, session: Session) -> str:
        return hmac.new(self._csrf_key, session.id.encode(), hashlib.sha256).hexdigest()


async def make_link(services: Services) -> str:
    """The path of a link that signs one person in with the admin key, once and soon."""
    secret, now = secrets.token_urlsafe(_SECRET_BYTES), services.clock.now_ms()
    sealed = _sealed(secret, services.admin_key.reveal().encode())
    await services.sessions.add(Session(_id_of(secret), "link", ADMIN_TENANT, sealed, "link", now, now, now + LINK_MS))
    return f"/dashboard/sign-in?link={secret}"


def cookie(place: Place, secret: str | None) -> bytes:
    """The header's value that keeps a session's secret, or (None) forgets it. `__Host-` and `Secure` but on plain loopback,
    where not every browser would keep them."""
    life = "Max-Age=0" if secret is None else f"Max-Age={LIFE_MS // 1000}"
    name, more = (_HOST, "; Secure") if place.secure else (_PLAIN, "")
    return f"{name}={secret or ''}; Path=/; {life}; HttpOnly; SameSite=Strict{more}".encode()


def _cookie(headers: Mapping[bytes, bytes], place: Place) -> str | None:
    wanted = _HOST if place.secure else _PLAIN
    for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted and value:
            return value
    return None


def _id_of(secret: str) -> str:
    return hashlib.blake2b(secret.encode(), digest_size=32, person=b"sendwright-sess").hexdigest()


def _sealed(secret: str, key: bytes) -> bytes:
    """Seals, and opens again: a secret is random, longer than any guess, and seals one key only, so its stream is a one-time
    pad. Altered bytes open to what is no key."""
    stream = hashlib.shake_256(b"sendwright-seal\0" + secret.encode()).digest(len(key))
    return bytes(a ^ b for a, b in zip(key, stream, strict=True))
