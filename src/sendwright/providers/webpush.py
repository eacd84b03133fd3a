"""Web push: notifications to browsers, encrypted for the one browser that subscribed, through whichever push service it uses.

Read in November 2026:
  the call        RFC 8030, https://www.rfc-editor.org/rfc/rfc8030
  the encryption  RFC 8291 over RFC 8188, https://www.rfc-editor.org/rfc/rfc8291
  who we are      RFC 8292 (VAPID), https://www.rfc-editor.org/rfc/rfc8292
  what it shows   https://developer.mozilla.org/en-US/docs/Web/API/ServiceWorkerRegistration/showNotification

What shapes this file:
  * The address is the browser's `PushSubscription` as JSON. Its endpoint is anybody's word, so every address is guarded, and what
    an endpoint says of the account counts for the account only where it is one of the push services that browsers come with.
    Else one made-up subscription could shut the channel for all.
  * Nothing here is random: key and salt come from `Outgoing.entropy`, which is given once, and the signature is that of RFC 6979.
  * A signed token serves all messages of an hour to one origin: its end is counted from the full hour, so that it is the same for
    them, and kept.
  * A push service has no idempotency key and no receipts. `Topic` lets a later message take the place of one that still waits
    there; it does not make a repetition harmless.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from sendwright.model.content import PushContent
from sendwright.providers.answers import by_status, json_object
from sendwright.providers.contract import (
    ENTROPY,
    Accepted,
    Capabilities,
    CommonSettings,
    Flow,
    HttpRequest,
    Later,
    Media,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
    Unsure,
)
from sendwright.providers.jose import b64url, p256_key, signed_es256, un_b64url
from sendwright.providers.redaction import vendor_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

RECORD = 4096
"""The record size of RFC 8188, in bytes; all of a push message is one record (RFC 8291, section 4)."""
TEXT_MAX = 3993
"""Bytes of text that fit what every push service takes, 4096 in all (RFC 8291, section 4)."""
TTL_S = 2_419_200
"""Four weeks: how long a push service is asked to keep what has no expiry of its own. Most keep it no longer."""
GOOD_S = 43_200
"""A token is good for twelve hours from the last full hour on, and one more; RFC 8292 allows a day."""

_SALT = 16
_AUTH = 16
_POINT = 65
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-5)."""
_URGENCY = {"critical": "high", "high": "high", "normal": "normal", "bulk": "low"}
"""RFC 8030, 5.3: `high` wakes a telephone on a low battery, `low` waits for power or Wi-Fi."""
_ENDPOINT = re.compile(r"https://[A-Za-z0-9.\[\]:_-]{1,255}(/[!\"$-~]*)?", re.ASCII)
_SUBJECT = re.compile(r"(mailto:[!-~]+@[!-~]+|https://[!-~]+)", re.ASCII)
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_OF_VAPID = re.compile(r"vapid|jwt|authori|credential|public key|applicationserverkey", re.IGNORECASE)
_BROWSERS = (".googleapis.com", ".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com")
"""The push services of Chrome, Firefox, Safari and Edge: those that many subscriptions share."""


class WebpushSettings(CommonSettings, frozen=True, kw_only=True):
    """The pair of keys that subscriptions are made for, and whom a push service may write to about them."""

    vapid_private_key: Secret
    """32 bytes in base64url, or PEM."""
    subject: str
    """`mailto:…` or `https://…`."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = []
        key, subject = given.get("vapid_private_key"), given.get("subject")
        if key is not None:
            try:
                p256_key(key.reveal())
            except ValueError as error:
                faults.append(("vapid_private_key", str(error)))
        if subject is not None and _SUBJECT.fullmatch(subject) is None:
            faults.append(("subject", "must be mailto: and an address, or https:// and a page"))
        return faults


class _Keys(Struct, frozen=True):
    p256dh: str
    auth: str


class Subscription(Struct, frozen=True):
    """A browser's `PushSubscription`, of which other members are passed over."""

    endpoint: str
    keys: _Keys

    def __repr__(self) -> str:
        return "Subscription(…)"


class Webpush(Provider):
    """One pair of VAPID keys."""

    kind = "webpush"
    settings_type = WebpushSettings
    settings: WebpushSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            channels=("webpush",),
            media=True,
            guarded=self.settings.base_url is None,
            entropy=True,
            body_max=TEXT_MAX,
            unit="bytes",
        )

    def counted(self, out: Outgoing) -> str:
        """What is encrypted."""
        return msgspec.json.encode(_shown(out)).decode()

    def build(self, out: Outgoing) -> HttpRequest:
        """One push message. Raises `ValueError` for an address that is no subscription, and `TooLong` for what has more than
        3993 bytes as JSON."""
        if out.channel != "webpush":
            raise ValueError("web push takes browsers' subscriptions only")
        to = subscription(out.address)
        text = self.limited(self.counted(out)).encode()
        body = sealed(text, un_b64url(to.keys.p256dh), un_b64url(to.keys.auth), out.entropy)
        return HttpRequest("POST", self._at(to.endpoint), self._headers(out, to.endpoint), body)

    def _at(self, endpoint: str) -> str:
        base = self.settings.base_url
        if base is None:
            return endpoint
        return base.rstrip("/") + "/" + endpoint.split("/", 3)[3]

    def _headers(self, out: Outgoing, endpoint: str) -> tuple[tuple[str, str], ...]:
        token = self._token(endpoint[: endpoint.index("/", 8)], int(out.now) // 3600 * 3600 + 3600 + GOOD_S)
        headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Encoding", "aes128gcm"),
            ("Authorization", f"vapid t={token}, k={self._public}"),
            ("TTL", str(TTL_S if out.ttl_s is None else out.ttl_s)),
            ("Urgency", _URGENCY.get(out.priority, "normal")),
        ]
        if isinstance(out.own, PushContent) and out.own.collapse_key:
            headers.append(("Topic", topic(out.own.collapse_key)))
        return tuple(headers)

    @cached_property
    def _key(self) -> EllipticCurvePrivateKey:
        return p256_key(self.settings.vapid_private_key.reveal())

    @cached_property
    def _public(self) -> str:
        return b64url(_point(self._key.public_key()))

    @cached_property
    def _token(self) -> Callable[[str, int], str]:
        """The signed token by origin and end."""
        return lru_cache(maxsize=64)(partial(vapid_token, self._key, self.settings.subject))

    def parse(self, reply: Reply) -> Outcome:
        """201 is acceptance, with an empty body or the address of what was made (RFC 8030, section 5)."""
        location = reply.header("location")
        if reply.status == 201 and (location or not reply.body):
            return Accepted(vendor_id((location or "").rpartition("/")[2]))
        if 200 <= reply.status < 300:
            return Unsure(f"HTTP {reply.status}: no push service answers like that")
        words = self.words(_LINK.sub("•••", _words(reply)))
        if reply.status in (404, 410):  # RFC 8030, 7.3: it has ended, or never was
            return Rejected(Reason.INVALID_ADDRESS, f"HTTP {reply.status}: {words}")
        if reply.status == 400 and _OF_VAPID.search(words):
            return Misconfigured(f"HTTP 400: {words}")
        return by_status(reply, words)

    def flow(self, out: Outgoing) -> Flow:
        """One call. What an endpoint says that only this subscription knows is about this subscription."""
        request = self.build(out)
        answer = yield request
        outcome = self.read(answer)
        shared = self.settings.base_url is not None or (urlsplit(request.url).hostname or "").endswith(_BROWSERS)
        if shared or not isinstance(answer, Reply):
            return outcome
        match outcome:
            case Misconfigured(detail):
                return Rejected(Reason.REJECTED, detail)
            case Later():
                return structs.replace(outcome, scope=Scope.RECIPIENT, ill=False)
            case _:
                return outcome


def subscription(address: str) -> Subscription:
    """The subscription that an address is, its parts looked at. Raises `ValueError`."""
    try:
        found = msgspec.json.decode(address.encode(), type=Subscription)
        point, auth = un_b64url(found.keys.p256dh), un_b64url(found.keys.auth)
    except (ValueError, RecursionError):
        raise ValueError("the recipient is not a push subscription") from None
    if len(point) != _POINT or len(auth) != _AUTH:
        raise ValueError("the subscription's keys have not the right length")
    if _ENDPOINT.fullmatch(found.endpoint) is None:
        raise ValueError("the subscription's endpoint is no https:// address")
    return found if found.endpoint.count("/") > 2 else structs.replace(found, endpoint=found.endpoint + "/")


def topic(key: str) -> str:
    """The collapse key as a topic: 32 letters of base64url (RFC 8030, 5.4), of which the key can't be read."""
    return b64url(hashlib.sha256(key.encode()).digest()[:24])


def vapid_token(key: EllipticCurvePrivateKey, subject: str, origin: str, ends: int) -> str:
    """The token of RFC 8292, section 2, for one push service."""
    return signed_es256(key, {"aud": origin, "exp": ends, "sub": subject})


def sealed(text: bytes, point: bytes, auth: bytes, entropy: bytes) -> bytes:
    """The text as one record of `aes128gcm`, which the browser of that key and secret alone can read. `entropy` is chance that was
    never used before: 48 bytes become our key for this message, the rest its salt."""
    if len(entropy) != ENTROPY:
        raise ValueError(f"encryption needs {ENTROPY} bytes of chance")
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 -- loaded by accounts of this kind alone

    number = int.from_bytes(entropy[:-_SALT]) % (_ORDER - 1) + 1  # FIPS 186-5, A.2.1: 128 bits more than it needs
    try:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise ValueError("the subscription's key is no point of P-256") from None
    return encrypted(text, theirs, auth, ec.derive_private_key(number, ec.SECP256R1()), entropy[-_SALT:])


def encrypted(text: bytes, theirs: EllipticCurvePublicKey, auth: bytes, ours: EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """RFC 8291, section 3.4, and RFC 8188, section 2."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDH  # noqa: PLC0415 -- as above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    mine = _point(ours.public_key())
    secret = _derived(ours.exchange(ECDH(), theirs), auth, b"WebPush: info\0" + _point(theirs) + mine, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + RECORD.to_bytes(4) + bytes([len(mine)]) + mine
    return head + AESGCM(key).encrypt(nonce, text + b"\x02", None)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256 (RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 -- as above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), length, salt, info).derive(secret)


def _point(key: EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 -- as above

    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _shown(out: Outgoing) -> dict[str, Any]:
    """What the service worker gets; docs/providers/webpush.md promises it."""
    own = out.own if isinstance(out.own, PushContent) else PushContent()
    said: dict[str, Any] = {
        "id": out.message,
        "title": out.title,
        "body": out.body if out.body != out.title else None,
        "url": out.url,
        "image": own.image or _picture(out.media),
        "sound": own.sound,
        "badge": own.badge,
        "tag": own.collapse_key,
        "actions": [{"action": one.id, "title": one.label} | ({"url": one.url} if one.url else {}) for one in out.actions],
        "data": own.data,
    }
    return {name: value for name, value in said.items() if value not in (None, "", [], {})}


def _picture(media: Sequence[Media]) -> str | None:
    return next((item.url for item in media if (item.content_type or "image/").startswith("image/")), None)


def _words(reply: Reply) -> str:
    """Push services say it in JSON, each under a name of its own, or in plain text."""
    said = json_object(reply.body)
    found = next((said[name] for name in ("message", "reason", "error") if isinstance(said.get(name), str)), None)
    if found is not None:
        return str(found)
    text = reply.body[:800].decode("utf-8", "replace").strip()
    return "" if text[:1] in ("<", "{", "[") else text
