"""Secrets that the store must keep so that they can be used again: sealed by AES-256-GCM under the secret key of the settings.

What is sealed is bound to a place (tenant, table, row): copied into another row it does not open. It names its key, so that older
keys of the settings (`[secrets] previous`) open what they sealed.

    version (1 byte) | key's name (4) | nonce (12) | ciphertext and tag

A nonce is random and 96 bits long: safe for 2^32 seals under one key (NIST SP 800-38D, 8.3), and a rotation makes one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

_VERSION = b"\x01"
_NAME, _NONCE = 4, 12


class Unopened(ValueError):
    """It was sealed for another place or under a key that is not known here, or is damaged."""


class Sealer:
    """`secrets`: the secret key of the settings, and older ones. `randomness` gives bytes of a cryptographic source."""

    def __init__(self, secrets: Sequence[bytes], randomness: Callable[[int], bytes]) -> None:
        keys = [hashlib.blake2b(secret, digest_size=32, person=b"sendwright-seal").digest() for secret in secrets]
        self._keys = {hashlib.blake2b(key, digest_size=_NAME).digest(): key for key in reversed(keys)}
        self._current = hashlib.blake2b(keys[0], digest_size=_NAME).digest()
        self._randomness = randomness

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, secret: bytes, *place: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- megabytes, which few need

        nonce = self._randomness(_NONCE)
        return _VERSION + self._current + nonce + AESGCM(self._keys[self._current]).encrypt(nonce, secret, _bound(place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Raises `Unopened`."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        name, nonce, rest = sealed[1 : 1 + _NAME], sealed[1 + _NAME : 1 + _NAME + _NONCE], sealed[1 + _NAME + _NONCE :]
        key = self._keys.get(name)
        if sealed[:1] != _VERSION or key is None or len(nonce) != _NONCE:
            raise Unopened("sealed under a key that is not known here")
        try:
            return AESGCM(key).decrypt(nonce, rest, _bound(place))
        except InvalidTag:
            raise Unopened("damaged, or sealed for another place") from None


def _bound(place: Sequence[str]) -> bytes:
    return b"\0".join(part.encode() for part in place)
