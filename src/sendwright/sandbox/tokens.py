"""JSON Web Tokens as those judge them who are sent some (RFC 7515, RFC 7519): the parts, and whether the signature holds."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


class Jwt(Struct, frozen=True):
    """One in its compact form, taken apart."""

    algorithm: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "Jwt()"

    def seconds(self, name: str) -> float | None:
        value = self.claims.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12 else None


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un_b64url(text: str) -> bytes | None:
    """The bytes; None for what is no base64url without padding."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def jwt_of(text: str) -> Jwt | None:
    """The token; None for what is none."""
    parts = text.split(".")
    raw = [un_b64url(part) for part in parts]
    if len(raw) != 3 or None in raw:
        return None
    try:
        head, claims = (msgspec.json.decode(part or b"", type=dict[str, Any]) for part in raw[:2])
    except (ValueError, RecursionError):
        return None
    return Jwt(str(head.get("alg")), claims, f"{parts[0]}.{parts[1]}".encode(), raw[2] or b"")


def rs256_holds(token: Jwt, key: RSAPublicKey) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- as in keyring.py
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        key.verify(token.signature, token.signed, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return token.algorithm == "RS256"


def es256_holds(token: Jwt, key: EllipticCurvePublicKey) -> bool:
    """The signature is two numbers of 32 bytes (RFC 7518, 3.4)."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- as in keyring.py
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

    if token.algorithm != "ES256" or len(token.signature) != 64:
        return False
    numbers = (int.from_bytes(token.signature[:32]), int.from_bytes(token.signature[32:]))
    try:
        key.verify(utils.encode_dss_signature(*numbers), token.signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
