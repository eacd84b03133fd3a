"""What an idempotency key decides: the same request once, another request never.

The same means *equal by parsed value*: the order of keys, white space and escapes don't matter, the order of lists does.
Numbers are equal as JSON numbers are, so 1, 1.0 and 10e-1 are one value; one written with a fraction or an exponent is
read as a double. What is compared is a fingerprint, so that the store need not keep the request. The key itself is no part
of the request: it may stand in the header the first time and in the body the next.
"""

from __future__ import annotations

import hashlib
import math

import msgspec
from msgspec import Struct

from sendwright.model.records import Conflict, Running

KEY = "idempotency_key"
"""The member of a body that holds its key."""
KEY_MAX = 255
FINGERPRINT_BYTES = 16
PATIENCE_MS = 5000
"""How long the first request may be on its way before another carries it to its end."""


class KeyRow(Struct, frozen=True):
    """What the store knows of a key: the id it stands for, of which request, and how far that got."""

    id: str
    fingerprint: bytes
    published: bool
    owner: str
    """The process that took it."""
    at: int
    """When, in ms since 1970."""


class Fresh(Struct, frozen=True):
    """Nobody used it: reserve it, then publish."""


class Replay(Struct, frozen=True):
    """The same request was accepted under this id: answer as then."""

    id: str


class Republish(Struct, frozen=True):
    """The same request was begun, and whoever did so will not finish: publish again under this id, then replay."""

    id: str


Verdict = Fresh | Replay | Republish | Conflict | Running


def verdict(row: KeyRow | None, fingerprint: bytes, now: int, *, owner_alive: bool) -> Verdict:
    """What to do with a request whose key has this row (None: no row). `now` is in ms since 1970."""
    if row is None:
        return Fresh()
    if row.fingerprint != fingerprint:
        return Conflict()
    if row.published:
        return Replay(row.id)
    # The row's time is another process's clock: one that is far ahead must not keep the key running until then.
    if owner_alive and abs(now - row.at) < PATIENCE_MS:
        return Running()
    return Republish(row.id)


def clean_key(header: str) -> str | None:
    """The key without white space and one pair of quotes around it; None when it is not 1 to 255 printable characters.

    draft-ietf-httpapi-idempotency-key-header sends a quoted string, most clients a bare one: both name the same key.
    """
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    return key if 1 <= len(key) <= KEY_MAX and key.isprintable() else None


def fingerprint(body: bytes) -> bytes:
    """16 bytes that are equal for bodies of equal value, the key left out. Raises `ValueError` for what is not JSON, or not
    finite."""
    value = _decode(body)
    if isinstance(value, dict):
        value.pop(KEY, None)
    return _digest(_encode(value))


def canonical(value: object) -> bytes:
    """The one spelling of a parsed JSON value: equal values, equal bytes."""
    return _encode(_settled(value))


def _digest(spelling: bytes) -> bytes:
    return hashlib.blake2b(spelling, digest_size=FINGERPRINT_BYTES, person=b"sendwright-idem").digest()


def _settled(value: object) -> object:
    match value:
        case dict():
            return {key: _settled(member) for key, member in value.items()}
        case list() | tuple():
            return [_settled(member) for member in value]
        case float():
            return _number(value)
        case _:
            return value


def _number(literal: str | float) -> int | float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError("a JSON number is finite")
    return int(number) if number.is_integer() else number


# The decoder calls back for numbers with a fraction or an exponent alone: a request without any costs no walk.
_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(order="sorted").encode
