"""Who is signed in: sessions in the store, found by the hash of a secret that only a cookie holds.

A session keeps the key that was signed in with, sealed by that same secret, and is asked for it on every request. So it never may
more than its key, and ends when the key is revoked, changed or over, whatever kind of key it is. The store alone tells
nobody a key.

Beside the key is sealed for which tenant it acts, where the key may say so. Turning to another tenant is another session, with a
secret of its own: a form of a page that was opened for one tenant is never taken for another.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

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
_AND = "\0"
"""Between a key, which is a header's value and can't hold it, and a tenant."""
_TENANT = b"sendwright-tenant"
_PLAIN, _HOST = "sendwright_session", "__Host-sendwright_session"


class SignedIn(Struct, frozen=True):
    """One who is."""

    session: Session
    caller: Caller
    csrf: str
    """What every form of this session carries."""
    acts: str | None = None
    """For which tenant, where the key is one that acts for any and was turned to one."""


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
        now = self._services.clock.now_ms()
        return await self._add(key, Session("", "session", caller.tenant, b"", way, now, now, now + LIFE_MS))  # type: ignore[arg-type]

    async def turned(self, headers: Mapping[bytes, bytes], place: Place, by: SignedIn, tenant: str) -> str:
        """The secret of the session that goes on in the place of this one, for that tenant; none: for nobody in particular.
        Its end stays. Raises `Refusal`: 422 for what is no tenant's name, 403 for a key that acts for its own alone, and for a
        session that was ended this moment."""
        secret = _cookie(headers, place)
        if secret is None:
            raise Refusal(403, "forbidden", "Nobody is signed in.")
        key, _, _ = _sealed(secret, by.session.sealed).decode().partition(_AND)
        if tenant:
            self._keys.acting(await self._caller(key), _for(tenant))
        said = key + _AND + tenant if tenant else key
        if not await self._services.sessions.end(by.session.tenant, by.session.id):
            raise Refusal(403, "forbidden", "This session is over.")  # whoever ended it meanwhile has ended it for good
        return await self._add(said, replace(by.session, seen_at=self._services.clock.now_ms()))

    async def _add(self, said: str, session: Session) -> str:
        """Keeps a session under a new secret, which seals what is said."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        await self._services.sessions.add(replace(session, id=_id_of(secret), sealed=_sealed(secret, said.encode())))
        return secret

    async def known(self, headers: Mapping[bytes, bytes], place: Place, *, uses: bool) -> SignedIn | None:
        """Who sent this. `uses`: it counts as use, which puts the session's end off."""
        secret = _cookie(headers, place)
        session = None if secret is None else await self._services.sessions.find(_id_of(secret))
        if secret is None or session is None or session.kind != "session":
            return None
        now = self._services.clock.now_ms()
        found = await self._caller_of(secret, session) if now < min(session.until, session.seen_at + IDLE_MS) else None
        if found is None:
            await self._services.sessions.end(session.tenant, session.id)
            return None
        if uses and now - session.seen_at >= SEEN_MS:
            await self._services.sessions.seen(session.id, now)
        caller, acts = found
        return SignedIn(session, caller, self._csrf(session), acts)

    async def _caller_of(self, secret: str, session: Session) -> tuple[Caller, str | None] | None:
        """What its key may today, and for whom; None where that is nothing any more."""
        try:
            key, _, tenant = _sealed(secret, session.sealed).decode().partition(_AND)
            known = await self._caller(key)
            caller = self._keys.acting(known, _for(tenant)) if tenant else known
        except (Refusal, UnicodeDecodeError):
            return None
        return (caller, tenant or None) if known.tenant == session.tenant and "read" in known.scopes else None

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


def acting_for(by: SignedIn, headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The headers as the API's handlers want them: for whom somebody acts is said by the session, never by a browser."""
    said = {name: value for name, value in headers.items() if name != _TENANT}
    return said if by.acts is None else {**said, **_for(by.acts)}


def _for(tenant: str) -> dict[bytes, bytes]:
    return {_TENANT: tenant.encode("utf-8", "replace")}


def _id_of(secret: str) -> str:
    return hashlib.blake2b(secret.encode(), digest_size=32, person=b"sendwright-sess").hexdigest()


def _sealed(secret: str, key: bytes) -> bytes:
    """Seals, and opens again: a secret is random, longer than any guess, and seals one key only, so its stream is a one-time
    pad. Altered bytes open to what is no key."""
    stream = hashlib.shake_256(b"sendwright-seal\0" + secret.encode()).digest(len(key))
    return bytes(a ^ b for a, b in zip(key, stream, strict=True))
