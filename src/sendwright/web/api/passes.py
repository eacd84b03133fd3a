"""Recipients' tokens: what lets an app of one person's look into that person's inbox, and at nothing else.

A token says for whom it is and how long, and is sealed by the secret key: nothing is stored, and none can be taken back before its
time, so they are short-lived. It travels in the Authorization header only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec
from msgspec import Struct

from sendwright.web.api.auth import Caller, unauthenticated

PREFIX = "swr_"
_MAC = 32


class Pass(Struct, frozen=True, array_like=True):
    """Whose inbox, and until when, in ms since 1970."""

    tenant: str
    recipient: str
    expires_at: int

    def __repr__(self) -> str:
        return "Pass(…)"


class Passes:
    """Makes and reads them."""

    __slots__ = ("_key",)

    def __init__(self, signing_key: bytes) -> None:
        self._key = hashlib.blake2b(signing_key, digest_size=32, person=b"sendwright-inbx").digest()

    def __repr__(self) -> str:
        return "Passes()"

    def made(self, given: Pass) -> str:
        raw = msgspec.json.encode(given)
        return PREFIX + base64.urlsafe_b64encode(self._mac(raw) + raw).rstrip(b"=").decode()

    def read(self, text: str, now: int) -> Pass | None:
        """What a token says; None where it is none of ours, was changed, or is over."""
        if not text.startswith(PREFIX):
            return None
        sealed = text.removeprefix(PREFIX)
        if "=" in sealed:
            return None
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(raw[:_MAC], self._mac(raw[_MAC:])):
            return None
        given = msgspec.json.decode(raw[_MAC:], type=Pass)
        return given if now < given.expires_at else None

    def holder(self, headers: dict[bytes, bytes], now: int) -> Caller:
        """Who calls. Raises `Refusal` (401) without a token that is good now."""
        scheme, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        given = self.read(text.strip(), now) if scheme.lower() == "bearer" else None
        if given is None:
            raise unauthenticated()
        return Caller(given.tenant, frozenset(), recipient=given.recipient, until=given.expires_at)

    def _mac(self, raw: bytes) -> bytes:
        return hashlib.blake2b(raw, key=self._key, digest_size=_MAC).digest()
