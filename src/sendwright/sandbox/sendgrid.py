"""SendGrid as a caller meets it: Mail Send, up to a thousand envelopes a call, and the event webhook, which is always signed here.

Facts: twilio.com/docs/sendgrid/api-reference/mail-send (body, errors, limits), /for-developers/tracking-events/event,
/getting-started-event-webhook-security-features, and the API's description in OpenAPI, read November 2026. Any API key is taken. An
address that has opted out is taken and dropped, as SendGrid does it: the answer is 202, and an event tells.
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import structs

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keyring import Keyring
from sendwright.sandbox.letters import coded_size, file_named
from sendwright.sandbox.log import Noted
from sendwright.sandbox.native import account_of
from sendwright.sandbox.places import usable
from sendwright.sandbox.wire import Headers, Reply, Request, bearer, json_of, json_reply

ENVELOPES_MAX = 1000
SIZE_MAX = 30_000_000
WINDOW_S = 60
"""After which a 429 that was told no time says that it is over."""
KEY = "sendgrid"

_SETTINGS = "/v3/user/webhooks/event/settings"
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")
_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
_TEXTS = {
    400: (None, "Bad Request"),
    401: (None, "The provided authorization grant is invalid, expired, or revoked"),
    403: ("from", "The from address does not match a verified Sender Identity."),
    413: (None, "The JSON payload is too large."),
    415: (None, "Content-Type should be application/json."),
    429: (None, "too many requests"),
}
_EVENTS: dict[str, dict[str, object]] = {
    "sent": {"event": "processed"},
    "delivered": {"event": "delivered", "response": "250 2.0.0 OK", "tls": 1},
    "read": {"event": "open", "useragent": "Mozilla/5.0", "ip": "192.0.2.7", "sg_machine_open": False},
    "failed": {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"},
    "dropped": {"event": "dropped", "reason": "Unsubscribed Address"},
}


class Sendgrid:
    """The dialect of kind `sendgrid`."""

    kind = "sendgrid"

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._url: str | None = None

    def __repr__(self) -> str:
        return "Sendgrid()"

    def account_in(self, path: str) -> str | None:
        return "" if path == "/v3/mail/send" else None

    def other(self, request: Request, path: str) -> Reply | None:
        """The event webhook's settings: made, and its verification key shown, which is also had by itself."""
        if path == "/public-key" and request.method == "GET":
            return Reply(200, self.public_key().encode(), ((b"content-type", b"text/plain"),))
        if not path.startswith(_SETTINGS):
            return None
        if not bearer(request):
            return self.failure(401, None, ())
        rest = path[len(_SETTINGS) :]
        if rest == "" and request.method == "POST":
            return self._post_events(request)
        if rest == f"/signed/{_HOOK}" and request.method in {"GET", "PATCH"}:
            return json_reply(200, {"id": _HOOK, "public_key": self.public_key()})
        return _refusal(404, None, "resource not found")

    def _post_events(self, request: Request) -> Reply:
        url = (json_of(request) or {}).get("url")
        if not (isinstance(url, str) and usable(url)):
            return _refusal(400, "url", "url must be a valid URL")
        self._url = url
        return json_reply(201, {"id": _HOOK, "enabled": True, "url": url})

    def public_key(self) -> str:
        """The verification key of the signed webhook, as SendGrid shows it."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 -- as in keyring.py

        public = self._keyring.curve(KEY).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(public).decode()

    def read(self, request: Request, account: str) -> Asked:
        key, said = bearer(request), json_of(request)
        account = account_of(key) if key else ""
        status = 401 if not key else 413 if len(request.body) > SIZE_MAX else 400
        if said is None or status != 400:
            return Asked(self.kind, account, "email", refusal=self.failure(status, None, ()))
        fault = next(_faults(said), None)
        if fault is not None:
            whom = next((box["email"] for envelope in _list(said.get("personalizations")) for box in _boxes(envelope, "to")), "")
            return Asked(self.kind, account, "email", whom, refusal=_refusal(400, *fault))
        first, *others = (self._asked(account, said, envelope) for envelope in said["personalizations"])
        return structs.replace(first, also=others)

    def _asked(self, account: str, said: Mapping[str, Any], envelope: Mapping[str, Any]) -> Asked:
        parts = {part["type"]: part["value"] for part in _list(said.get("content"))}
        echoed = {**_object(said.get("custom_args")), **_object(envelope.get("custom_args"))}
        to, *others = (box["email"] for name in ("to", "cc", "bcc") for box in _boxes(envelope, name))
        return Asked(
            self.kind,
            account,
            "email",
            to,
            parts.get("text/plain", ""),
            sender=_written(_object(said.get("from"))),
            title=_text(envelope.get("subject")) or _text(said.get("subject")),
            html=parts.get("text/html"),
            media=[file_named(file.get("filename"), coded_size(file.get("content"))) for file in _list(said.get("attachments"))],
            copies=others,
            reference=_text(echoed.get("sendwright_attempt")),
            callback_url=self._url,
            echoed={str(name): str(value) for name, value in echoed.items()},
        )

    def new_ref(self) -> str:
        return base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return Reply(202, b"", ((b"x-message-id", ref.encode()),))

    def replayed(self, ref: str) -> Reply:
        return Reply(202, b"", ((b"x-message-id", ref.encode()),))

    def opted_out(self, asked: Asked) -> Reply | None:
        return None

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        """`code` is the message. A Retry-After of seconds is said as SendGrid says it: by when its window ends."""
        field, text = _TEXTS.get(status, (None, "internal server error"))
        wait = next((value for name, value in headers if name == b"retry-after" and value.isdigit()), None)
        said = headers if wait is None else tuple(header for header in headers if header[0] != b"retry-after")
        if status == 429:
            ends = int(time.time()) + int(wait or WINDOW_S)
            said += ((b"x-ratelimit-limit", b"600"), (b"x-ratelimit-remaining", b"0"), (b"x-ratelimit-reset", b"%d" % ends))
        return _refusal(status, field, text if code is None else str(code), said)

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        """Everybody who has a copy has an event of their own, with the same arguments."""
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 -- as in keyring.py
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        stamp = b"%d" % time.time()
        events = [_event(asked, noted.entry.ref or "", state, whom, int(stamp)) for whom in (asked.to, *asked.copies)]
        body = msgspec.json.encode(events) + b"\r\n"
        signature = base64.b64encode(self._keyring.curve(KEY).sign(stamp + body, ec.ECDSA(hashes.SHA256())))
        return (
            (b"content-type", b"application/json"),
            (b"x-twilio-email-event-webhook-signature", signature),
            (b"x-twilio-email-event-webhook-timestamp", stamp),
        ), body


_HOOK = "77d4a5da-7015-11ed-a1eb-0242ac120002"
"""The id of the one webhook that there is."""


def _event(asked: Asked, ref: str, state: str, whom: str, at: int) -> dict[str, object]:
    one = base64.urlsafe_b64encode(f"{state}-{ref}-{whom}".encode()).decode()
    about = {"email": whom, "timestamp": at, "sg_event_id": one, "sg_message_id": f"{ref}.recvd-sandbox-1.0"}
    return {**asked.echoed, **about, **_EVENTS[state]}


def _faults(said: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What SendGrid finds wrong with a call: the field, its words, and the anchor of its help."""
    envelopes, content = _list(said.get("personalizations")), _list(said.get("content"))
    if not envelopes:
        yield (
            "personalizations",
            "The personalizations field is required and must have at least one personalization.",
            "personalizations",
        )
    if len(envelopes) > ENVELOPES_MAX:
        yield "personalizations", f"There is a limit of {ENVELOPES_MAX} personalizations per API request.", "personalizations"
    for place, envelope in enumerate(envelopes):
        yield from _faults_of(envelope, f"personalizations.{place}")
    if sum(len(_boxes(envelope, name)) for envelope in envelopes for name in ("to", "cc", "bcc")) > ENVELOPES_MAX:
        words = f"There is a limit of {ENVELOPES_MAX} total recipients (to + cc + bcc) per API request."
        yield "personalizations", words, "personalizations"
    if not _is_address(_object(said.get("from"))):
        yield "from.email", "The from email does not contain a valid address.", "from"
    if not (said.get("template_id") or _text(said.get("subject")) or all(_text(one.get("subject")) for one in envelopes)):
        yield "subject", "The subject is required.", "subject"
    if not (said.get("template_id") or content):
        yield "content", "Unless a valid template_id is provided, the content parameter is required.", "content"
    for place, part in enumerate(content):
        if not (isinstance(part.get("type"), str) and isinstance(part.get("value"), str) and part["value"]):
            yield f"content.{place}.value", "The content value must be a string at least one character in length.", "content.value"


def _faults_of(envelope: Mapping[str, Any], where: str) -> Iterator[tuple[str, str, str]]:
    if not _list(envelope.get("to")):
        yield (
            f"{where}.to",
            "The to array is required for all personalization objects, and must have at least one email object.",
            "to",
        )
    known: set[str] = set()
    for name in ("to", "cc", "bcc"):
        for place, box in enumerate(_list(envelope.get(name))):
            if not _is_address(box):
                yield f"{where}.{name}.{place}.email", "Does not contain a valid address.", f"personalizations.{name}"
            elif box["email"].lower() in known:
                words = "Each email address in the personalization block should be unique between to, cc, and bcc."
                yield f"{where}.{name}", words, "recipient-errors"
            else:
                known.add(box["email"].lower())


def _refusal(status: int, field: str | None, text: str, extra: Headers | str = ()) -> Reply:
    """SendGrid's error; `extra` is its headers, or the anchor of its help."""
    anchor, headers = (extra, ()) if isinstance(extra, str) else (None, extra)
    error = {"message": text, "field": field, "help": _HELP + anchor if anchor else None}
    return json_reply(status, {"errors": [error]}, headers)


def _list(value: object) -> Sequence[dict[str, Any]]:
    """The objects of a list; one empty for each that is something else."""
    return [each if isinstance(each, dict) else {} for each in value] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _boxes(envelope: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return [box for box in _list(envelope.get(name)) if isinstance(box.get("email"), str)]


def _is_address(box: Mapping[str, Any]) -> bool:
    email = box.get("email")
    return isinstance(email, str) and _ADDRESS.fullmatch(email) is not None


def _written(box: Mapping[str, Any]) -> str:
    name, email = box.get("name"), str(box.get("email"))
    return f"{name} <{email}>" if isinstance(name, str) and name else email
