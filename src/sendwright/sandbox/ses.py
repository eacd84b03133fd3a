"""Amazon SES as a caller meets it: SendEmail of the API's second version, signed calls, and events by SNS.

Facts: docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html and CommonErrors.html, /dg/event-publishing-retrieving-sns-
contents.html, read November 2026. Signatures are judged, by the one pair of keys of sigv4.py. An address that has opted out is on
the account's suppression list: SES takes the mail, and an event tells that it went to nobody.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

import msgspec

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keyring import Keyring
from sendwright.sandbox.letters import Opened, coded_size, file_named, opened
from sendwright.sandbox.log import Noted
from sendwright.sandbox.sigv4 import ACCESS_KEY_ID, refused
from sendwright.sandbox.sns import Announce, Sns
from sendwright.sandbox.wire import Headers, Reply, Request, json_of, json_reply

SIZE_MAX = 40_000_000
RECIPIENTS_MAX = 50

_TEXTS = {
    "BadRequestException": "1 validation error detected",
    "AccessDeniedException": "User is not authorized to perform: ses:SendEmail",
    "NotFoundException": "Configuration set <mails> does not exist.",
    "TooManyRequestsException": "Maximum sending rate exceeded.",
    "LimitExceededException": "Daily message quota exceeded.",
    "MessageRejected": "The message contains invalid content.",
    "MailFromDomainNotVerifiedException": "The sending domain is not verified.",
    "AccountSuspendedException": "The account has been suspended.",
    "SendingPausedException": "Sending is paused for this account.",
    "ServiceUnavailable": "Service is unavailable.",
}
_NO_NAME = re.compile(r"[^A-Za-z0-9_.:/#-]")
_USUAL = {
    400: "BadRequestException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "NotFoundException",
    429: "TooManyRequestsException",
    503: "ServiceUnavailable",
}


class Ses:
    """The dialect of kind `ses`."""

    kind = "ses"

    def __init__(self, keyring: Keyring, announce: Announce) -> None:
        self._sns = Sns(keyring, announce)

    def __repr__(self) -> str:
        return "Ses()"

    def account_in(self, path: str) -> str | None:
        return ACCESS_KEY_ID if path == "/v2/email/outbound-emails" else None

    def other(self, request: Request, path: str) -> Reply | None:
        """SNS lives at the same address: the path tells."""
        return self._sns.answer(request, path)

    def read(self, request: Request, account: str) -> Asked:
        fault, said = refused(request, "ses", time.time()), json_of(request)
        if fault is not None:
            return Asked(self.kind, account, "email", refusal=_fault(403, *fault))
        if said is None or len(request.body) > SIZE_MAX:
            return Asked(self.kind, account, "email", refusal=self.failure(400 if said is None else 413, None, ()))
        whom = _object(said.get("Destination"))
        to, *others = [*_texts(whom.get("ToAddresses")), *_texts(whom.get("CcAddresses")), *_texts(whom.get("BccAddresses"))] or [
            ""
        ]
        letter = _letter(_object(said.get("Content")))
        words = _wrong(said, [to, *others], letter)
        tags = {str(tag.get("Name")): str(tag.get("Value")) for tag in _objects(said.get("EmailTags"))}
        return Asked(
            self.kind,
            account,
            "email",
            parseaddr(to)[1] or to,
            letter.body if letter else "",
            sender=str(said.get("FromEmailAddress") or (letter.sender if letter else "")),
            title=letter.title if letter else None,
            html=letter.html if letter else None,
            media=letter.files if letter else (),
            copies=[parseaddr(each)[1] or each for each in others],
            reference=tags.get("sendwright_attempt"),
            callback_url=self._sns.topic.endpoint if self._sns.topic else None,
            echoed=tags | {"ses:configuration-set": str(said.get("ConfigurationSetName", "none"))},
            refusal=_fault(400, "BadRequestException", words) if words else None,
        )

    def new_ref(self) -> str:
        return f"{os.urandom(8).hex()}-{uuid.uuid4()}-000000"

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return json_reply(200, {"MessageId": ref})

    def replayed(self, ref: str) -> Reply:
        return json_reply(200, {"MessageId": ref})

    def opted_out(self, asked: Asked) -> Reply | None:
        return None

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        """`code` is SES's name of the error."""
        name = str(code or _USUAL.get(status, "InternalServiceErrorException"))
        return _fault(status, name, _TEXTS.get(name, ""), headers)

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        topic = self._sns.topic
        if topic is None:
            return (), b""  # unsubscribed by a reset, which has also stopped whoever would post this
        event = msgspec.json.encode(_event(asked, noted.entry.ref or "", state)).decode()
        return self._sns.message("Notification", topic, {"Subject": "Amazon SES Email Event Notification", "Message": event})


def _event(asked: Asked, ref: str, state: str) -> dict[str, object]:
    now, everybody = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), [asked.to, *asked.copies]
    mail = {
        "timestamp": now,
        "source": parseaddr(asked.sender or "")[1],
        "sendingAccountId": "123456789012",
        "messageId": ref,
        "destination": everybody,
        "headersTruncated": False,
        "headers": [{"name": "Subject", "value": asked.title}],
        "commonHeaders": {"from": [asked.sender], "to": [asked.to], "subject": asked.title},
        "tags": {name: [value] for name, value in asked.echoed.items()},
    }
    bounced = {"timestamp": now, "feedbackId": ref, "bounceType": "Permanent"}
    gone = {"emailAddress": asked.to, "action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 no such user"}
    told: dict[str, tuple[str, str, dict[str, object]]] = {
        "sent": ("Send", "send", {}),
        "delivered": ("Delivery", "delivery", {"timestamp": now, "recipients": everybody, "smtpResponse": "250 2.0.0 OK"}),
        "read": ("Open", "open", {"timestamp": now, "ipAddress": "192.0.2.7", "userAgent": "Mozilla/5.0"}),
        "failed": ("Bounce", "bounce", {**bounced, "bounceSubType": "NoEmail", "bouncedRecipients": [gone]}),
        "dropped": (
            "Bounce",
            "bounce",
            {**bounced, "bounceSubType": "OnAccountSuppressionList", "bouncedRecipients": [{"emailAddress": asked.to}]},
        ),
    }
    word, name, body = told[state]
    return {"eventType": word, "mail": mail, name: body}


def _letter(content: Mapping[str, Any]) -> Opened | None:
    """What a mailbox shows of the content; None for one that is none."""
    if raw := _object(content.get("Raw")).get("Data"):
        try:
            return opened(base64.b64decode(raw, validate=True))
        except (binascii.Error, ValueError, TypeError):
            return None
    simple = _object(content.get("Simple"))
    subject, text, html = (_data(simple, "Subject"), *(_data(_object(simple.get("Body")), name) for name in ("Text", "Html")))
    if subject is None or (text is None and html is None):
        return None
    files = [file_named(file.get("FileName"), coded_size(file.get("RawContent"))) for file in _objects(simple.get("Attachments"))]
    return Opened("", (), subject, text or "", html, tuple(files), "")


def _wrong(said: Mapping[str, Any], everybody: Sequence[str], letter: Opened | None) -> str | None:
    """What SES finds wrong with a call, in its words."""
    if letter is None:
        return "1 validation error detected: Value at 'content' failed to satisfy constraint: Member must not be null"
    if not (said.get("FromEmailAddress") or letter.sender):
        return "Missing required header 'From'."
    if len(everybody) > RECIPIENTS_MAX:
        return f"Recipient count exceeds {RECIPIENTS_MAX}."
    bad = [each for each in everybody if "@" not in parseaddr(each)[1].strip("@")]
    return "Illegal address" if bad else None


def _fault(status: int, name: str, words: str, headers: Headers = ()) -> Reply:
    return json_reply(status, {"message": words}, ((b"x-amzn-errortype", _NO_NAME.sub("", name).encode()), *headers))


def _data(of: Mapping[str, Any], name: str) -> str | None:
    found = _object(of.get(name)).get("Data")
    return found if isinstance(found, str) and found else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
