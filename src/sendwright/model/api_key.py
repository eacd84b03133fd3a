"""API keys: what is kept of one, and how one is written.

A key is `swk_`, an id (8 characters), a secret (32) and a checksum (8), in Crockford's base32, small letters: 160 random bits, a
name that may be shown, and typing errors found without asking anybody. Of the key itself nothing is kept but its digest, an
HMAC-SHA-256 under a key that no store has: who holds a dump of the store can neither call with it nor try guesses on it. (A slow
hash is for what people can remember; nobody guesses 160 bits.)
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from msgspec import Struct

API_KEY = "swk_"
SCOPES = ("send", "read", "admin")
"""What a key may do, each by itself: post and cancel; look; steer, and manage keys."""
TENANT_PATTERN = "^[a-z0-9][a-z0-9_-]{0,62}$"

RANDOM_BYTES = 25
ID_LENGTH = len(API_KEY) + 8
_CHECKSUM_BYTES = 5
_LENGTH = len(API_KEY) + (RANDOM_BYTES + _CHECKSUM_BYTES) * 8 // 5
_TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")

Place = tuple[int, str]
"""Where a list of keys goes on: when the last one that was shown was made, and its id."""


class ApiKey(Struct, frozen=True):
    """A key as the store has it. Times in ms since 1970; `rate` as in `100/s`."""

    id: str
    tenant: str
    name: str
    scopes: tuple[str, ...]
    """In the order of `SCOPES`."""
    digest: bytes
    created_at: int
    expires_at: int | None = None
    """None: never."""
    rate: str | None = None
    """None: no limit."""
    used_at: int | None = None
    """When it was last used, to a minute or so; None: never."""

    def __repr__(self) -> str:
        return f"ApiKey({self.id})"

    def lives(self, now: int) -> bool:
        """Whether its time has not come."""
        return self.expires_at is None or now < self.expires_at


def written(randomness: bytes) -> str:
    """The key that 25 random bytes make."""
    core = _encode(randomness)
    return API_KEY + core + _checksum(core)


def api_key_id(key: str) -> str | None:
    """The part of an API key that may be shown; None when its checksum says that it was mistyped."""
    if not key.startswith(API_KEY) or len(key) != _LENGTH or not key.isascii():
        return None
    core, checksum = key[len(API_KEY) : -8], key[-8:]
    return key[:ID_LENGTH] if hmac.compare_digest(_checksum(core), checksum) else None


def pepper_of(secret: bytes) -> bytes:
    """What digests are made under, from the secret key of the settings."""
    return hashlib.blake2b(secret, digest_size=32, person=b"sendwright-keys").digest()


def digest_of(key: bytes, pepper: bytes) -> bytes:
    return hmac.digest(pepper, key, "sha256")


def _checksum(core: str) -> str:
    return _encode(hashlib.blake2s(core.encode(), digest_size=_CHECKSUM_BYTES, person=b"swk").digest())


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).translate(_TO_CROCKFORD).decode()
