"""Signed assertions: a JSON Web Token by which an account says who it is (RFC 7515, RFC 7519), and the keys that sign them.

Belongs here: pure functions over keys and claims that more than one adapter may need. Does not: settings, claims, headers; those
are the adapter's. A key that can't be read raises `ValueError`, and never with the key in its text.

Families so far:
  ES256   ECDSA over P-256 (VAPID, RFC 8292); the number that each signature needs comes from the key and the text (RFC 6979),
          so that the same claims are signed the same
  RS256   RSA with PKCS #1 v1.5 (Google's service accounts, RFC 7523)

`cryptography` is loaded by the first key that is read, so that accounts without one do without it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SCALAR = 32
"""Bytes of a private key, and of each half of a signature, on P-256."""
RSA_BITS_MIN = 2048
"""RFC 7518, 3.3."""

_STANDARD = str.maketrans("-_", "+/")


def b64url(data: bytes) -> str:
    """Base64 with the letters of addresses, without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un_b64url(text: str) -> bytes:
    """The bytes of base64 in either alphabet, padded or not: who hands keys on is seldom strict. Raises `ValueError`."""
    plain = text.translate(_STANDARD).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None


def p256_key(text: str) -> EllipticCurvePrivateKey:
    """A private key on P-256: its 32 bytes in base64url, as tools for web push print it, or PEM. Raises `ValueError`."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 -- see above

    if "-----BEGIN" in text:
        key = _of_pem(text)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a key on P-256")
        return key
    number = un_b64url(text.strip())
    if len(number) != SCALAR:
        raise ValueError("not 32 bytes in base64url")
    try:
        return ec.derive_private_key(int.from_bytes(number), ec.SECP256R1())
    except ValueError:
        raise ValueError("not a key on P-256") from None


def rsa_key(pem: str) -> RSAPrivateKey:
    """An RSA private key of at least 2048 bits, of PEM. Raises `ValueError`."""
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 -- see above

    key = _of_pem(pem)
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < RSA_BITS_MIN:
        raise ValueError(f"not an RSA key of {RSA_BITS_MIN} bits or more")
    return key


def signed_es256(key: EllipticCurvePrivateKey, claims: Mapping[str, Any]) -> str:
    """The compact form of the claims, signed by ES256; the same claims always give the same text."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 -- see above
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

    said = _said({"typ": "JWT", "alg": "ES256"}, claims)
    r, s = utils.decode_dss_signature(key.sign(said.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return f"{said}.{b64url(r.to_bytes(SCALAR) + s.to_bytes(SCALAR))}"


def signed_rs256(key: RSAPrivateKey, claims: Mapping[str, Any], key_id: str | None = None) -> str:
    """The compact form of the claims, signed by RS256; the same claims always give the same text."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 -- see above
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    head = {"typ": "JWT", "alg": "RS256"} | ({"kid": key_id} if key_id else {})
    said = _said(head, claims)
    return f"{said}.{b64url(key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _said(head: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return f"{b64url(msgspec.json.encode(head))}.{b64url(msgspec.json.encode(claims))}"


def _of_pem(text: str) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 -- see above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        return load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not a private key in PEM without a password") from None
