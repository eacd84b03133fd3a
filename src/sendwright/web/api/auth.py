"""Who calls, for which tenant, and what they may do. Keys come in the Authorization header only, never in an address.

The admin key of the settings is nobody's but the operator's: it is of the tenant `default` and may act for any other. A key that
was made (engine/warden.py) is one tenant's, has the scopes that it was given, and may come with a rate. What concerns all tenants
at once is for the admin key, and for keys of the tenant `default`.
"""

from __future__ import annotations

import hmac
import math
import re

from msgspec import Struct

from sendwright.engine.warden import Warden
from sendwright.model.api_key import SCOPES, TENANT_PATTERN, ApiKey
from sendwright.policy.limit import Rate
from sendwright.policy.quota import Quota
from sendwright.providers.contract import Secret
from sendwright.web.api.problems import Refusal, of_header, retry_after
from sendwright.web.api.wire import Header

ADMIN_TENANT = "default"

_TENANT = re.compile(rb"[a-z0-9][a-z0-9_-]{0,62}")
_CHALLENGE = ((b"www-authenticate", b"Bearer"),)
_MADE = b"Bearer swk_"
_POLICY = b"key"
"""What a key's own rate is called in the RateLimit fields."""


class Caller(Struct, frozen=True):
    """Who was let in."""

    tenant: str
    scopes: frozenset[str]
    root: bool = False
    """By the admin key of the settings: may act for every tenant, and see to the keys of all."""
    key: ApiKey | None = None
    """The key, where it is one that was made."""
    recipient: str = ""
    """Whose inbox a recipient's token opens."""
    until: int = 1 << 62
    """How long that is good, in ms since 1970."""

    def require(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refusal(403, "forbidden", f"This key lacks the scope `{scope}`.")

    def require_all(self) -> None:
        """Whether it may do what concerns all tenants."""
        if not self.root and self.tenant != ADMIN_TENANT:
            raise Refusal(403, "forbidden", f"This concerns all tenants: it takes the admin key, or a key of `{ADMIN_TENANT}`.")


class Keys:
    """The keys that are accepted. Comparing takes the same time for every wrong key of one length."""

    __slots__ = ("_admin", "_admins", "_metrics", "_warden")

    def __init__(self, admin: Secret, metrics: Secret | None, warden: Warden) -> None:
        self._admin = b"Bearer " + admin.reveal().encode()
        self._metrics = b"Bearer " + metrics.reveal().encode() if metrics else None
        self._admins = {ADMIN_TENANT.encode(): Caller(ADMIN_TENANT, frozenset(SCOPES), root=True)}
        self._warden = warden

    def __repr__(self) -> str:
        return "Keys()"

    def recalled(self, headers: dict[bytes, bytes]) -> Caller:
        """Whose key it is, as far as can be told at once. Raises `Refusal` (401) without a valid one, and also where the store
        would have to be asked: then `known` knows."""
        given = _credential(headers)
        if given is not None:
            if hmac.compare_digest(given, self._admin):
                return self._admins[b"default"]
            if given.startswith(_MADE):
                key = self._warden.recalled(given[7:].decode("latin-1"))
                if key is not None:
                    return Caller(key.tenant, frozenset(key.scopes), key=key)
        raise unauthenticated()

    async def known(self, headers: dict[bytes, bytes]) -> Caller:
        """Whose key it is. Raises `Refusal` (401) without a valid one, and `Unavailable` where nobody can say."""
        given = _credential(headers)
        if given is None or not given.startswith(_MADE) or hmac.compare_digest(given, self._admin):
            return self.recalled(headers)
        key = await self._warden.found(given[7:].decode("latin-1"))
        if key is None:
            raise unauthenticated()
        return Caller(key.tenant, frozenset(key.scopes), key=key)

    def acting(self, known: Caller, headers: dict[bytes, bytes]) -> Caller:
        """The same, for the tenant that it acts for. Raises `Refusal`: 422 for a tenant that has no such name, 403 for a key that
        may not."""
        tenant = headers.get(b"sendwright-tenant")
        if tenant is None:
            return known
        require_own(known, headers)
        if not _TENANT.fullmatch(tenant):
            raise of_header("Sendwright-Tenant", "invalid_tenant", f"must match {TENANT_PATTERN}")
        return Caller(tenant.decode(), known.scopes, root=True)

    def counted(self, caller: Caller) -> tuple[Header, ...]:
        """Counts a call against its key's rate; the fields that say what is left. Raises `Refusal` (429) when that is nothing."""
        if caller.key is None:
            return ()
        drawn = self._warden.drawn(caller.key)
        if drawn is None:
            return ()
        rate, quota = drawn
        if not quota.allowed:
            detail = f"This key may call {caller.key.rate}, and has."
            raise Refusal(429, "rate_limited", detail, headers=(*retry_after(math.ceil(quota.more_s)), *_fields(rate, quota)))
        return _fields(rate, quota)

    def may_watch(self, headers: dict[bytes, bytes]) -> bool:
        """Whether /metrics and /docs may be seen: the metrics key, or the admin key."""
        given = _credential(headers)
        if given is None:
            return False
        watch = self._metrics is not None and hmac.compare_digest(given, self._metrics)
        return hmac.compare_digest(given, self._admin) or watch


def require_own(known: Caller, headers: dict[bytes, bytes]) -> None:
    """Only the admin key may say for whom it acts."""
    if not known.root and b"sendwright-tenant" in headers:
        raise Refusal(403, "forbidden", "A key acts for its own tenant: only the admin key may send Sendwright-Tenant.")


def unauthenticated() -> Refusal:
    return Refusal(401, "unauthenticated", "Send `Authorization: Bearer <key>` with a valid key.", headers=_CHALLENGE)


def _fields(rate: Rate, quota: Quota) -> tuple[Header, ...]:
    """draft-ietf-httpapi-ratelimit-headers: the policy, and what is left of it."""
    return (
        (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (_POLICY, rate.n, rate.unit_s)),
        (b"ratelimit", b'"%b";r=%d;t=%d' % (_POLICY, quota.left, math.ceil(quota.more_s))),
    )


def _credential(headers: dict[bytes, bytes]) -> bytes | None:
    given = headers.get(b"authorization")
    if given is None or given.startswith(b"Bearer "):
        return given
    scheme, _, key = given.partition(b" ")  # schemes are case-insensitive (RFC 9110, section 11.1)
    return b"Bearer " + key.strip() if scheme.lower() == b"bearer" else None
