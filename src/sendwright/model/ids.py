"""Ids: ordered by time, unguessable, and recognisable before the store knows them.

A notification's id is 20 bytes in Crockford's base32 (lower case, 32 characters): 6 bytes of milliseconds since
1970, 9 bytes of randomness, 5 bytes of MAC over tenant, time and randomness. The MAC lets a process that has
never seen an id say whether *this* tenant was ever given it, so that reading right after a 202 is never a 404.

The ids below a notification are functions of it: a message is (notification, recipient's ordinal), an attempt is
(message, number). Planning twice, or claiming twice, therefore names the same rows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct

_CROCKFORD = b"0123456789abcdefghjkmnpqrstvwxyz"
_RFC4648 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_FROM_CROCKFORD = bytes.maketrans(_CROCKFORD, _RFC4648)

NOTIFICATION = "ntf_"
MESSAGE = "msg_"
ATTEMPT = "att_"
REPLY = "rep_"
NOTICE = "prv_"
"""Of what is told of a provider."""
PARCEL = "par_"
"""Of a dead parcel: nobody can read from it whose it is."""

RANDOM_BYTES = 9
HEAD_BYTES = 20
_CORE = 32
_ORDINAL = 2
_NUMBER = 3
ORDINALS_MAX = 32**_ORDINAL
NUMBERS_MAX = 32**_NUMBER


class IdMint:
    """Makes and recognises the ids of notifications. `secret` is the id-signing key (32 bytes or more)."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.blake2b(secret, digest_size=32, person=b"sendwright-ids").digest()

    def __repr__(self) -> str:
        return "IdMint()"

    def notification(self, tenant: str, at_ms: int, randomness: bytes) -> str:
        """A new id for `tenant`; `randomness` is 9 bytes from a cryptographic source."""
        head = at_ms.to_bytes(6, "big") + randomness
        return NOTIFICATION + _encode(head + self._mac(tenant, head))

    def minted_for(self, tenant: str, notification_id: str) -> bool:
        """True when this id was made for `tenant` by a holder of the same secret."""
        if len(notification_id) != 4 + _CORE or not notification_id.startswith(NOTIFICATION):
            return False
        raw = _decode(notification_id[4:])
        return raw is not None and hmac.compare_digest(raw[15:], self._mac(tenant, raw[:15]))

    def _mac(self, tenant: str, head: bytes) -> bytes:
        return hashlib.blake2s(tenant.encode() + b"\0" + head, key=self._secret, digest_size=5).digest()


def message_id(notification_id: str, ordinal: int) -> str:
    return f"{MESSAGE}{notification_id[4:]}{_number(ordinal, _ORDINAL)}"


def attempt_id(message: str, number: int) -> str:
    """`number` counts the message's attempts from 1."""
    return f"{ATTEMPT}{message[4:]}{_number(number, _NUMBER)}"


def parcel_id(lane: str, raw: bytes) -> str:
    """A dead parcel's: the same bytes of the same lane are the same parcel."""
    return PARCEL + hashlib.blake2b(lane.encode() + b"\0" + raw, digest_size=16).hexdigest()


def reply_id(at_ms: int, provider: str, ref: str) -> str:
    """Of what a person said back: the same one, told at the same time, has the same."""
    told = hashlib.blake2b(f"{provider}\0{ref}".encode("utf-8", "replace"), digest_size=14).digest()
    return REPLY + _encode(at_ms.to_bytes(6, "big") + told)


def notice_id(at_ms: int, told: bytes) -> str:
    """Of what is told of a provider; `told` is a hash of 14 bytes."""
    return NOTICE + _encode(max(0, at_ms).to_bytes(6, "big") + told)


def notification_of(message_or_attempt: str) -> str:
    return NOTIFICATION + message_or_attempt[4 : 4 + _CORE]


def subject_of(event: str) -> str:
    """What an event with this subject belongs to: a notification; or a reply or a notice, which belong to none."""
    return event if event.startswith((REPLY, NOTICE)) else notification_of(event)


def message_of(attempt: str) -> str:
    return MESSAGE + attempt[4 : 4 + _CORE + _ORDINAL]


def ordinal_of(message: str) -> int:
    digits = message[4 + _CORE :].encode()
    return _CROCKFORD.index(digits[0:1]) * 32 + _CROCKFORD.index(digits[1:2])


def time_ms_of(any_id: str) -> int | None:
    """Milliseconds since 1970 inside an id, or None when it is not one of ours."""
    raw = _decode(any_id[4 : 4 + _CORE])
    return None if raw is None or len(raw) != HEAD_BYTES else int.from_bytes(raw[:6], "big")


def looks_like(prefix: str, text: str) -> bool:
    """True when `text` has the shape of an id with this prefix (whether or not it exists)."""
    length = {NOTIFICATION: _CORE, MESSAGE: _CORE + _ORDINAL, ATTEMPT: _CORE + _ORDINAL + _NUMBER}[prefix]
    tail = text[4:]
    return text.startswith(prefix) and len(tail) == length and tail.isascii() and all(c in _CROCKFORD for c in tail.encode())


def floor(prefix: str, at_ms: int) -> str:
    """The smallest id of that time: with it, a range of times is a range of ids."""
    return prefix + _encode(max(0, at_ms).to_bytes(6, "big") + bytes(14))


def _number(value: int, width: int) -> str:
    if not 0 <= value < 32**width:
        raise ValueError("an id has no room for that number")
    return _TWO[value] if width == _ORDINAL else _ONE[value >> 10] + _TWO[value & 1023]


_FIVES = struct.Struct(">BIBIBIBI").unpack
"""Five bytes are eight digits. base64.b32encode does the same as what follows, and takes six times as long."""
_ONE = [chr(digit) for digit in _CROCKFORD]
_TWO = [first + second for first in _ONE for second in _ONE]
"""Two digits at a time."""


def _encode(raw: bytes) -> str:
    """Of twenty bytes, in four fives: small numbers, and no loop."""
    a, b, c, d, e, f, g, h = _FIVES(raw)
    return (
        f"{_TWO[a << 2 | b >> 30]}{_TWO[b >> 20 & 1023]}{_TWO[b >> 10 & 1023]}{_TWO[b & 1023]}"
        f"{_TWO[c << 2 | d >> 30]}{_TWO[d >> 20 & 1023]}{_TWO[d >> 10 & 1023]}{_TWO[d & 1023]}"
        f"{_TWO[e << 2 | f >> 30]}{_TWO[f >> 20 & 1023]}{_TWO[f >> 10 & 1023]}{_TWO[f & 1023]}"
        f"{_TWO[g << 2 | h >> 30]}{_TWO[h >> 20 & 1023]}{_TWO[h >> 10 & 1023]}{_TWO[h & 1023]}"
    )


def _decode(text: str) -> bytes | None:
    try:
        raw = text.encode("ascii")
        return base64.b32decode(raw.translate(_FROM_CROCKFORD)) if raw == raw.lower() else None
    except (UnicodeEncodeError, binascii.Error):
        return None
