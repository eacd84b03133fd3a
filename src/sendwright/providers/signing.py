"""The arithmetic of signatures: what is hashed, in which order, compared without telling how far it matched.

Belongs here: pure functions over bytes that more than one adapter may need, a family at a time. Does not: settings,
header names, verdicts; those are the adapter's. Nothing here raises for what came from outside; only a secret that
can't be read raises, `ValueError`, and never with the secret in its text.

Families so far:
  URL and parameters   HMAC-SHA1, base64 (Twilio): https://www.twilio.com/docs/usage/webhooks/webhooks-security
  Standard Webhooks    HMAC-SHA256 over `id.timestamp.body`, a list of signatures: https://www.standardwebhooks.com
  raw body             HMAC-SHA256, hexadecimal (Meta): https://developers.facebook.com/docs/graph-api/webhooks/getting-started
  dated raw body       the same over `v0:timestamp:body` (Slack): https://api.slack.com/docs/verifying-requests-from-slack
  ECDSA                P-256 and SHA-256 over any bytes, DER in base64 (SendGrid): FIPS 186-5, RFC 5480
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

WEBHOOK_PREFIX = "whsec_"
WEBHOOK_TOLERANCE_S = 300
"""How far a Standard Webhooks timestamp may be from now, in either direction, in seconds."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^\]/?#]*\]|[^:/?#]*)(?P<port>:[0-9]*)?(?P<rest>[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_PORTS = {"https": ":443", "http": ":80"}
_UNIX = re.compile(r"[0-9]{1,12}", re.ASCII)


def same(ours: str, theirs: str) -> bool:
    """Equality in constant time, for any characters."""
    return hmac.compare_digest(ours.encode("utf-8", "surrogatepass"), theirs.encode("utf-8", "surrogatepass"))


def form_signature(token: str, url: str, params: Iterable[tuple[str, str]]) -> str:
    """Base64 of HMAC-SHA1 over the URL and every name and value, names sorted, equal values of one name once."""
    values: dict[str, set[str]] = {}
    for name, value in params:
        values.setdefault(name, set()).add(value)
    text = url + "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    digest = hmac.new(token.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def port_spellings(url: str) -> tuple[str, ...]:
    """The ways in which a signer may have written this URL: as it is, without its port, with its scheme's own port."""
    match = _URL.fullmatch(url)
    if match is None:
        return (url,)
    scheme, host, port, rest = match["scheme"], match["host"], match["port"], match["rest"] or ""
    bare = f"{scheme}://{host}{rest}"
    if port:
        return (url, bare)
    return (url, f"{scheme}://{host}{_PORTS[scheme.lower()]}{rest}")


def hex_signature(secret: str, text: bytes) -> str:
    """HMAC-SHA256 in lower-case hexadecimal."""
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def webhook_key(secret: str) -> bytes:
    """The key inside a `whsec_…` secret. Raises `ValueError` when there is none."""
    try:
        key = base64.b64decode(secret.removeprefix(WEBHOOK_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64 after `whsec_`") from None
    if not key:
        raise ValueError("empty")
    return key


def sign_webhook(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,…` per key, so that receivers may still hold an older one."""
    return " ".join("v1," + _webhook_digest(key, message_id, str(timestamp), body) for key in keys)


def webhook_signed(
    keys: Sequence[bytes],
    message_id: str | None,
    timestamp: str | None,
    signatures: str | None,
    body: bytes,
    *,
    now: float,
    tolerance_s: float = WEBHOOK_TOLERANCE_S,
) -> bool:
    """Whether any of the signatures is by any of the keys, and the timestamp not further from `now` than allowed.

    The timestamp is Unix seconds, and exactly `tolerance_s` away is still near enough. Signatures of versions other
    than `v1` are passed over, as the specification asks.
    """
    if not message_id or not signatures or timestamp is None or _UNIX.fullmatch(timestamp) is None:
        return False
    if abs(now - int(timestamp)) > tolerance_s:
        return False
    given = [entry.removeprefix("v1,") for entry in signatures.split(" ") if entry.startswith("v1,")]
    ours = [_webhook_digest(key, message_id, timestamp, body) for key in keys]
    matches = [same(mine, theirs) for mine in ours for theirs in given]  # all of them, so that time tells nothing
    return any(matches)


def _webhook_digest(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    text = f"{message_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""How the key of a point on P-256 begins as SubjectPublicKeyInfo (RFC 5480), when the point is not compressed."""
_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def p256_key(text: str) -> bytes:
    """The DER of a public key in base64. Raises `ValueError` for what is no point on P-256; loads no library for it."""
    try:
        der = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    x, y = int.from_bytes(der[27:59], "big"), int.from_bytes(der[59:], "big")
    if len(der) != 91 or not der.startswith(_P256) or max(x, y) >= _PRIME or (y * y - x**3 + 3 * x - _B) % _PRIME:
        raise ValueError("no public key on P-256")
    return der


def ecdsa_signed(key: bytes, message: bytes, signature: str) -> bool:
    """Whether it is this key's (of `p256_key`). The signature is DER in base64, written in the one way that is canonical."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- megabytes, which only few accounts need
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    try:
        given = base64.b64decode(signature, validate=True)
        public = load_der_public_key(key)
        if base64.b64encode(given).decode() != signature or not isinstance(public, ec.EllipticCurvePublicKey):
            return False
        public.verify(given, message, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
