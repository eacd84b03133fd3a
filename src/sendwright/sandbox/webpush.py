"""A push service, and the browser behind it: subscriptions, messages under VAPID, and what they say once they are decrypted.

Facts: RFC 8030 (the call), RFC 8291 and RFC 8188 (the encryption), RFC 8292 (VAPID), and how Mozilla's service words its errors,
mozilla-push-service.readthedocs.io/en/latest/http.html, read November 2026. The browser's keys are made here. A subscription is its
endpoint's path alone: a name, and whose key it was made for. The service answers 201 for what only the browser can't read, as a
push service does; it is written down as dropped.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keyring import Keyring
from sendwright.sandbox.log import Noted
from sendwright.sandbox.tokens import b64url, es256_holds, jwt_of, un_b64url
from sendwright.sandbox.wire import Headers, Reply, Request, json_reply

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

ORIGIN = "https://push.sandbox.example"
"""Where the endpoints say that they are. An adapter's `base_url` leads here instead."""
KEY, AUTH = "browser", "browser-auth"
BODY_MAX = 4096
LIFE_S = 86_400
ANYBODY = "any"

_PUSH = re.compile(r"/push/([A-Za-z0-9_-]{1,64})/([0-9a-f]{16}|any)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_VAPID = re.compile(r"vapid +(?:t=([^,\s]+) *, *k=([^,\s]+)|k=([^,\s]+) *, *t=([^,\s]+))", re.ASCII)
_TOPIC = re.compile(r"[A-Za-z0-9_-]{0,32}", re.ASCII)
_URGENCIES = frozenset({"", "very-low", "low", "normal", "high"})
_ERRORS: dict[int, tuple[int, str, str]] = {
    400: (110, "Bad Request", "Invalid crypto headers"),
    401: (109, "Unauthorized", "Missing VAPID authorization"),
    403: (109, "Forbidden", "VAPID public key mismatch"),
    404: (102, "Not Found", "Invalid URL endpoint"),
    410: (106, "Gone", "Subscription is no longer valid"),
    413: (104, "Payload Too Large", "The payload has more than 4096 bytes"),
    429: (201, "Too Many Requests", "Recipient has received too many messages"),
}


class Webpush:
    """The dialect of kind `webpush`."""

    kind = "webpush"

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def __repr__(self) -> str:
        return "Webpush()"

    def account_in(self, path: str) -> str | None:
        found = _PUSH.fullmatch(path)
        return found[2] if found else None

    def other(self, request: Request, path: str) -> Reply | None:
        """A browser subscribes: `name` tells one from another, `key` is the VAPID key that it is for."""
        if path.startswith("/push/"):
            return self.failure(404, None, ())
        if request.method != "GET" or path != "/subscription.json":
            return None
        said = dict(parse_qsl(request.query))
        name, key = said.get("name", "browser"), said.get("key")
        point = None if key is None else _point_of(key)
        if _NAME.fullmatch(name) is None or (key is not None and point is None):
            return self.failure(400, "name is letters and digits, key is a VAPID public key in base64url", ())
        endpoint = f"{ORIGIN}/push/{name}/{ANYBODY if point is None else _print_of(point)}"
        keys = {"p256dh": b64url(_point(self._keyring.curve(KEY).public_key())), "auth": b64url(self._keyring.chance(AUTH, 16))}
        return json_reply(200, {"endpoint": endpoint, "expirationTime": None, "keys": keys})

    def read(self, request: Request, account: str) -> Asked:
        found = _PUSH.search(request.path)
        to, refusal = found[1] if found else "", self._refusal(request, account)
        if refusal is not None:
            return Asked(self.kind, account, "webpush", to, refusal=refusal)
        text = self._opened(request.body) if request.body else b"{}"
        said = _object(text)
        return Asked(
            self.kind,
            account,
            "webpush",
            to,
            _text(said.get("body")) or "" if said else (text or b"").decode("utf-8", "replace"),
            title=_text(said.get("title")),
            url=_text(said.get("url")),
            media=[image] if (image := _text(said.get("image"))) else [],
            lost=text is None,
        )

    def _refusal(self, request: Request, made_for: str) -> Reply | None:
        """The push service's; None where it passes the message on."""
        if len(request.body) > BODY_MAX:
            return self.failure(413, None, ())
        if not request.header(b"ttl").isdigit():
            return self.failure(400, "Missing or invalid TTL header", ())
        if request.body and request.header(b"content-encoding") != "aes128gcm":
            return self.failure(400, None, ())
        if request.header(b"urgency") not in _URGENCIES or not _TOPIC.fullmatch(request.header(b"topic")):
            return self.failure(400, "Invalid topic or urgency", ())
        return self._stranger(request.header(b"authorization"), made_for)

    def _stranger(self, authorization: str, made_for: str) -> Reply | None:
        """RFC 8292, sections 2 to 4: who it is, for how long, and whether the subscription was made for them."""
        found = _VAPID.fullmatch(authorization)
        if found is None:
            return None if made_for == ANYBODY and not authorization else self.failure(401, None, ())
        token, point = jwt_of(found[1] or found[4]), _point_of(found[2] or found[3])
        key = None if point is None else _key_of(point)
        if token is None or key is None or point is None:
            return self.failure(401, "VAPID token or key can't be read", ())
        if not es256_holds(token, key):
            return self.failure(403, "VAPID signature does not match", ())
        ends, subject = token.seconds("exp"), str(token.claims.get("sub", ""))
        if token.claims.get("aud") != ORIGIN or ends is None or not 0 < ends - time.time() <= LIFE_S:
            return self.failure(403, "VAPID claims: wrong audience, or expired, or good for more than a day", ())
        if not subject.startswith(("mailto:", "https://")):
            return self.failure(403, "VAPID claims: no contact", ())
        return None if made_for in {ANYBODY, _print_of(point)} else self.failure(403, None, ())

    def _opened(self, body: bytes) -> bytes | None:
        """RFC 8188, section 2, by the keys of RFC 8291, section 3.4; None for what this browser can't read."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- as in keyring.py
        from cryptography.hazmat.primitives.asymmetric.ec import ECDH  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20] if len(body) > 20 else 0
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        key = _key_of(theirs)
        if key is None or size < 18 or len(sealed) > size:
            return None
        ours = self._keyring.curve(KEY)
        info = b"WebPush: info\0" + _point(ours.public_key()) + theirs
        secret = _derived(self._keyring.chance(AUTH, 16), ours.exchange(ECDH(), key), info, 32)
        cek = _derived(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derived(salt, secret, b"Content-Encoding: nonce\0", 12)
        try:
            text = AESGCM(cek).decrypt(nonce, sealed, None).rstrip(b"\0")
        except InvalidTag:
            return None
        return text[:-1] if text.endswith(b"\x02") else None

    def new_ref(self) -> str:
        return os.urandom(16).hex()

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return Reply(201, b"", ((b"location", f"{ORIGIN}/m/{ref}".encode()), (b"ttl", b"60")))

    def replayed(self, ref: str) -> Reply:
        return Reply(201, b"", ((b"location", f"{ORIGIN}/m/{ref}".encode()),))

    def opted_out(self, asked: Asked) -> Reply | None:
        return self.failure(410, None, ())

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        """`code` is the message."""
        number, error, words = _ERRORS.get(status, (999, "Error", "The service is unavailable"))
        said = {"code": status, "errno": number, "error": error, "message": words if code is None else str(code)}
        return json_reply(status, said | {"more_info": f"{urlsplit(ORIGIN).geturl()}/errors"}, headers)

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        return (), b""  # nobody is called back: push services report nothing


def _derived(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256 (RFC 5869), for one block of output."""
    key = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(key, info + b"\x01", hashlib.sha256)[:length]


def _point(key: EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 -- as in keyring.py

    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _point_of(text: str) -> bytes | None:
    found = un_b64url(text.rstrip("="))
    return found if found is not None and len(found) == 65 else None


def _key_of(point: bytes) -> EllipticCurvePublicKey | None:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 -- as in keyring.py

    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return None


def _print_of(point: bytes) -> str:
    return hashlib.sha256(point).hexdigest()[:16]


def _object(text: bytes | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
