"""Cursors: where a list goes on, sealed so that nobody steers it into another list or another tenant's."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from sendwright.web.api.problems import Refusal, of_parameter

_MAC = 12


class Cursors:
    """Seals and opens. A cursor is good for one tenant and for one list with the same filters."""

    __slots__ = ("_key",)

    def __init__(self, signing_key: bytes) -> None:
        self._key = hashlib.blake2b(signing_key, digest_size=32, person=b"sendwright-curs").digest()

    def __repr__(self) -> str:
        return "Cursors()"

    def seal(self, tenant: str, listing: Iterable[object], place: str) -> str:
        raw = self._mac(tenant, listing, place) + place.encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def open(self, tenant: str, listing: Iterable[object], cursor: str) -> str:
        """The place; raises `Refusal` (422) for a cursor that was not sealed for this."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            place = raw[_MAC:].decode()
        except (binascii.Error, UnicodeError, ValueError):
            raise foreign() from None
        if not hmac.compare_digest(raw[:_MAC], self._mac(tenant, listing, place)):
            raise foreign()
        return place

    def _mac(self, tenant: str, listing: Iterable[object], place: str) -> bytes:
        sealed = repr((tenant, *listing, place)).encode()
        return hashlib.blake2b(sealed, key=self._key, digest_size=_MAC).digest()


def foreign() -> Refusal:
    """The refusal of a cursor that leads nowhere."""
    fault = of_parameter("cursor", "invalid_cursor", "is not a cursor of this list")
    return Refusal(422, "invalid_request", "The cursor is not one of this list.", [fault])
