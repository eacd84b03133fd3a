"""Who calls, for which tenant, and what they may do. Keys come in the Authorization header only, never in an address."""

from __future__ import annotations

import hmac
import re

from msgspec import Struct

from sendwright.providers.contract import Secret
from sendwright.web.api.problems import Refusal, of_header

ADMIN_TENANT = "default"
SCOPES = ("send", "read", "admin")
TENANT_PATTERN = "^[a-z0-9][a-z0-9_-]{0,62}$"

_TENANT = re.compile(rb"[a-z0-9][a-z0-9_-]{0,62}")
_CHALLENGE = ((b"www-authenticate", b"Bearer"),)


class Caller(Struct, frozen=True):
    """Who was let in."""

    tenant: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refusal(403, "forbidden", f"This key lacks the scope `{scope}`.")


class Keys:
    """The keys that are accepted. Comparing takes the same time for every wrong key of one length."""

    __slots__ = ("_admin", "_admins", "_metrics")

    def __init__(self, admin: Secret, metrics: Secret | None) -> None:
        self._admin = b"Bearer " + admin.reveal().encode()
        self._metrics = b"Bearer " + metrics.reveal().encode() if metrics else None
        self._admins = {ADMIN_TENANT.encode(): Caller(ADMIN_TENANT, frozenset(SCOPES))}

    def __repr__(self) -> str:
        return "Keys()"

    def known(self, headers: dict[bytes, bytes]) -> Caller:
        """Whose key it is. Raises `Refusal` (401) without a valid one."""
        given = _credential(headers)
        if given is None or not hmac.compare_digest(given, self._admin):
            raise unauthenticated()
        return self._admins[b"default"]

    def caller(self, headers: dict[bytes, bytes]) -> Caller:
        """The same, for the tenant that it acts for. Raises `Refusal`: 401, and 422 for a tenant that has no such name."""
        known = self.known(headers)
        tenant = headers.get(b"sendwright-tenant")
        if tenant is None:
            return known
        if not _TENANT.fullmatch(tenant):
            raise of_header("Sendwright-Tenant", "invalid_tenant", f"must match {TENANT_PATTERN}")
        return Caller(tenant.decode(), frozenset(SCOPES))

    def may_watch(self, headers: dict[bytes, bytes]) -> bool:
        """Whether /metrics and /docs may be seen: the metrics key, or the admin key."""
        given = _credential(headers)
        if given is None:
            return False
        watch = self._metrics is not None and hmac.compare_digest(given, self._metrics)
        return hmac.compare_digest(given, self._admin) or watch


def unauthenticated() -> Refusal:
    return Refusal(401, "unauthenticated", "Send `Authorization: Bearer <key>` with a valid key.", headers=_CHALLENGE)


def _credential(headers: dict[bytes, bytes]) -> bytes | None:
    given = headers.get(b"authorization")
    if given is None or given.startswith(b"Bearer "):
        return given
    scheme, _, key = given.partition(b" ")  # schemes are case-insensitive (RFC 9110, section 11.1)
    return b"Bearer " + key.strip() if scheme.lower() == b"bearer" else None
