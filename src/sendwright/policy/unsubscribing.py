"""The links by which people unsubscribe: what they say, how they are sealed, and the header fields that carry them. Pure.

A link is `<public address>/u/<token>`, and the token says for itself whose mail it stood in: nothing is stored to make one. No
address is in it, only the keyed hash by which the list of suppressions knows the address (policy/suppression.py). It has no end,
for mail is old when people press it: it is good as long as the installation has the key that sealed it, be it as a previous one.

    version (1 byte) | MAC (16) | mark (16) | tenant, channel, category and message, with a NUL between

The header fields are those of RFC 2369, section 3.2, and of RFC 8058, section 3.1, which asks for https.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from msgspec import Struct

from sendwright.model.outcomes import Reason
from sendwright.model.people import Suppression
from sendwright.policy.masking import DOTS
from sendwright.policy.suppression import Marker, suppression_id

EMAIL = "email"
"""The channel whose messages have header fields for it."""
MARKETING = "marketing"
URL_NAME = "unsubscribe_url"
"""What templates call the link."""
FIELD = "List-Unsubscribe"
FIELD_POST = "List-Unsubscribe-Post"
ONE_CLICK = "List-Unsubscribe=One-Click"
PATH = "/u/"
TOKEN_MAX = 2048
"""Characters: longer ones are nobody's."""

_VERSION = b"\x01"
_MAC = _MARK = 16
_HEAD = 1 + _MAC + _MARK


class Subscribed(Struct, frozen=True):
    """Who was written to, of what, and by which message."""

    tenant: str
    channel: str
    mark: str
    """The keyed hash of the address, by the key of then."""
    category: str
    message: str

    def __repr__(self) -> str:
        return f"Subscribed({self.message})"


class Links:
    """Makes the links and reads their tokens. `secrets`: the secret key of the settings, and older ones. They lead to `base`."""

    __slots__ = ("_base", "_keys", "_marker")

    def __init__(self, base: str, secrets: Sequence[bytes], marker: Marker) -> None:
        self._base = base.rstrip("/") + PATH
        self._keys = tuple(hashlib.blake2b(each, digest_size=32, person=b"sendwright-unsb").digest() for each in secrets)
        self._marker = marker

    def __repr__(self) -> str:
        return "Links()"

    def made(self, tenant: str, channel: str, address: str, message: str) -> str:
        """The link of a marketing message."""
        return self._base + self.token(Subscribed(tenant, channel, self._marker.address(address), MARKETING, message))

    def token(self, of: Subscribed) -> str:
        told = f"{of.tenant}\0{of.channel}\0{of.category}\0{of.message}".encode()
        raw = bytes.fromhex(of.mark) + told
        return _written(_VERSION + _mac(self._keys[0], raw) + raw)

    def read(self, token: str) -> Subscribed | None:
        """What a token says; None where it is none of ours, in every letter."""
        sealed = _sealed(token)
        if sealed is None:
            return None
        mac, raw = sealed[1 : 1 + _MAC], sealed[1 + _MAC :]
        if not any(hmac.compare_digest(mac, _mac(key, raw)) for key in self._keys):
            return None
        tenant, channel, category, message = raw[_MARK:].decode().split("\0")
        return Subscribed(tenant, channel, raw[:_MARK].hex(), category, message)

    @property
    def shown(self) -> str:
        """A link as it is shown to those who are not its recipient: whoever has one may use it."""
        return f"{self._base}***"


def header_fields(link: str) -> dict[str, str]:
    """Of a mail with this link. One click is a promise that only https can keep (RFC 8058, section 3.1)."""
    fields = {FIELD: f"<{link}>"}
    return {**fields, FIELD_POST: ONE_CLICK} if link.startswith("https://") else fields


def opted_out(of: Subscribed, mark: str, shown: str, now: int) -> Suppression:
    """The row that a link puts on the list. It is one of its own beside whatever else is known of the address, so that who takes it
    off again takes off nothing else."""
    id_ = suppression_id(of.tenant, of.channel, f"{MARKETING}\0link", mark)
    return Suppression(id_, of.tenant, of.channel, mark, shown or DOTS, Reason.OPTED_OUT.value, "unsubscribe", now, "marketing")


def _mac(key: bytes, raw: bytes) -> bytes:
    return hashlib.blake2b(_VERSION + raw, key=key, digest_size=_MAC).digest()


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _sealed(token: str) -> bytes | None:
    """Only in the one writing that we give it: base64 has several for the same bytes."""
    if len(token) > TOKEN_MAX or "=" in token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) > _HEAD and raw[:1] == _VERSION and _written(raw) == token else None
