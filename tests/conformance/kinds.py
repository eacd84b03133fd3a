"""What each kind of provider brings to the suite in `test_every_provider.py`: one entry, or the suite fails.

A new kind adds a function that returns its `Samples`, and its name to `KINDS`. Every value that must not be seen in a
log (secrets, the recipient, what is said) holds one of the marks below, so that the suite can look for it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sendwright.providers import signing
from sendwright.providers.contract import Hook, Media, Outgoing, Reply

NOW = 1_790_000_000.0
ATTEMPT = "att_" + "0" * 31 + "1" + "00001"
SECRET_MARK = "canarysecret"
BODY_MARK = "canarybody"
TITLE_MARK = "canarytitle"
PHONE = "+15005550009"


@dataclass(frozen=True)
class Samples:
    """One kind's samples."""

    raw: dict[str, Any]
    """Settings that make an account, as they stand in the file."""
    outgoing: Outgoing
    """A message it can send."""
    accepted: Reply
    """The answer that means: taken."""
    refused_key: Reply
    """The answer to a wrong key."""
    secrets: tuple[str, ...] = ()
    """Every secret of `raw`."""
    callback: Hook | None = None
    """A good callback, reporting the attempt `ATTEMPT`; None for a kind without callbacks."""
    stale: tuple[Hook, ...] = ()
    """Callbacks whose signature is right and whose time is not."""
    signs_url: bool = False
    signature_headers: tuple[str, ...] = ()
    extra_replies: tuple[Reply, ...] = field(default=())
    """Replies of its own that look like success and aren't."""


def outgoing(**over: Any) -> Outgoing:
    values: dict[str, Any] = {
        "attempt": ATTEMPT,
        "message": "msg_" + "0" * 34,
        "channel": "sms",
        "address": PHONE,
        "body": f"Your code, {BODY_MARK}: 481216 é 🎉",
        "title": TITLE_MARK,
        "media": (Media("https://example.com/canarymedia.png"),),
        "callback_url": f"https://notify.example.com/v1/hooks/main?a={ATTEMPT}",
        "idempotency_key": "key-1",
        "ttl_s": 600,
    }
    return Outgoing(**(values | over))


def hook(url: str, body: bytes, *headers: tuple[str, str], now: float = NOW, method: str = "POST") -> Hook:
    return Hook(method, url, tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True)), headers, body, now)


def _twilio() -> Samples:
    token = f"{SECRET_MARK}0123456789abcdef"
    sid = "SM" + "0123456789abcdef" * 2
    url = f"https://notify.example.com/v1/hooks/twilio-main?a={ATTEMPT}"
    form = [("AccountSid", "AC" + "0" * 32), ("To", PHONE), ("MessageSid", sid), ("MessageStatus", "delivered"), ("Blank", "")]
    form_type = ("content-type", "application/x-www-form-urlencoded")
    signature = ("x-twilio-signature", signing.form_signature(token, url, form))
    return Samples(
        raw={"kind": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": token, "from": "+15005550006"},
        outgoing=outgoing(),
        accepted=_json(201, {"sid": sid, "status": "queued", "error_code": None}),
        refused_key=_json(401, {"code": 20003, "message": "Authenticate", "status": 401}),
        secrets=(token, base64.b64encode(f"AC{'0' * 32}:{token}".encode()).decode()),
        callback=hook(url, urlencode(form).encode(), form_type, signature),
        signs_url=True,
        signature_headers=("x-twilio-signature",),
        extra_replies=(
            _json(201, {"sid": sid, "status": "failed", "error_code": 30006}),
            _json(200, {"sid": None}),
            _json(201, [sid]),
        ),
    )


def _sandbox() -> Samples:
    key = f"{SECRET_MARK}-signs-callbacks".encode()
    secret = "whsec_" + base64.b64encode(key).decode()
    body = json.dumps({"id": "sbx_1", "reference": ATTEMPT, "state": "delivered", "at": "2026-09-21T14:13:20Z"}).encode()
    return Samples(
        raw={"kind": "sandbox", "url": "http://127.0.0.1:8425", "token": f"{SECRET_MARK}-token", "secret": secret},
        outgoing=outgoing(sender="+15005550006"),
        accepted=_json(202, {"id": "sbx_1"}),
        refused_key=_json(401, {"code": "unauthorized", "detail": "A bearer token is needed."}),
        secrets=(f"{SECRET_MARK}-token", secret, secret.removeprefix("whsec_")),
        callback=_standard_webhook(key, body, at=NOW),
        stale=(_standard_webhook(key, body, at=NOW - 301), _standard_webhook(key, body, at=NOW + 301)),
        signature_headers=("webhook-id", "webhook-timestamp", "webhook-signature"),
        extra_replies=(_json(202, {"id": ""}), _json(202, {"id": 7}), _json(202, {"code": "opted_out"})),
    )


def _console() -> Samples:
    return Samples(
        raw={"kind": "console"},
        outgoing=outgoing(),
        accepted=Reply(200),
        refused_key=Reply(401),
    )


def _standard_webhook(key: bytes, body: bytes, at: float) -> Hook:
    return hook(
        f"https://notify.example.com/v1/hooks/sandbox-sms?a={ATTEMPT}",
        body,
        ("webhook-id", "evt_1_delivered"),
        ("webhook-timestamp", str(int(at))),
        ("webhook-signature", signing.sign_webhook([key], "evt_1_delivered", int(at), body)),
    )


def _json(status: int, value: object) -> Reply:
    return Reply(status, (("content-type", "application/json"),), json.dumps(value).encode())


KINDS: dict[str, Callable[[], Samples]] = {"console": _console, "sandbox": _sandbox, "twilio": _twilio}
