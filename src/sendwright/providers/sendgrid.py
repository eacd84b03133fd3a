"""SendGrid: email by the v3 Mail Send API, one call for up to a thousand messages, receipts by the signed event webhook.

Read in November 2026:
  the call      https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
  its limits    https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations
  its errors    https://support.sendgrid.com/hc/en-us/articles/18322114821403-4XX-API-Errors-and-Troubleshooting-Suggestions
  events        https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
  signatures    https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
  drops         https://www.twilio.com/docs/sendgrid/glossary/drops

What shapes this file:
  * Mail Send has no idempotency key, and its 202 has no body: the id is the header `X-Message-Id`.
  * What events echo is `custom_args`, so the attempt's id travels there. Everybody who has a copy has events of their own with
    the same arguments: where there are copies, a mark says whom the message is for, and news of the others is passed over.
  * Events come many at a time, out of order and more than once; states join upwards, so that needs nothing here.
  * The signature is over the timestamp and the body's very bytes, line break at the end included. SendGrid names no tolerance;
    it tries for a day, so what is two days old is refused.
  * `_envelope` is what a message has for itself, `_contents` what several may share: messages of equal contents go with one call.
    They have one `X-Message-Id`, and each its own attempt's id in its events. A call that is refused for one envelope has taken
    nothing, so each goes again, alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from sendwright.providers.answers import by_status, json_object
from sendwright.providers.contract import (
    HARD,
    SOFT,
    Accepted,
    AttemptState,
    Capabilities,
    CommonSettings,
    Flow,
    Happening,
    Hook,
    HttpRequest,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Receipt,
    Rejected,
    Reply,
    Scope,
    Secret,
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.letter import Letter, Mailbox, is_mailbox, letter_of, mark
from sendwright.providers.redaction import vendor_id
from sendwright.providers.signing import ecdsa_signed, p256_key

API = "https://api.sendgrid.com"
SIZE_MAX = 30_000_000
"""Bytes of a call, attachments included."""
SHARED_MAX = 1_000_000
"""Larger mails go alone: what there is to save is small beside them."""
RECIPIENTS_MAX = 1000
"""Of a call, copies included."""
OLDEST_S = 2 * 86_400
"""Age of a callback that is still taken, in seconds."""
AHEAD_S = 300

ATTEMPT = "sendwright_attempt"
FOR = "sendwright_for"
"""Names of our arguments in `custom_args`."""

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{88,96}={0,2}", re.ASCII)
"""DER of two numbers of 256 bits, in base64; less than 66 bytes is a chance of one in a million."""
_UNIX = re.compile(r"[0-9]{1,12}", re.ASCII)
_NO_SUCH_MAILBOX = re.compile(r"[45]\.1\.[0-9]{1,3}", re.ASCII)

_STATES = {
    "processed": AttemptState.SENT,
    "deferred": AttemptState.SENT,
    "delivered": AttemptState.DELIVERED,
    "open": AttemptState.READ,
    "click": AttemptState.READ,
    "spamreport": AttemptState.DELIVERED,
    "unsubscribe": AttemptState.DELIVERED,
    "group_unsubscribe": AttemptState.DELIVERED,
    "bounce": AttemptState.FAILED,
    "dropped": AttemptState.REJECTED,
}
"""Who complains or unsubscribes has it. `group_resubscribe` says nothing of a message."""
_LEFT = dict.fromkeys(("spamreport", "unsubscribe", "group_unsubscribe"), Reason.OPTED_OUT)
"""Who wants no more."""

_HAPPENED = {
    "click": Happening.CLICKED,
    "spamreport": Happening.COMPLAINED,
    "unsubscribe": Happening.UNSUBSCRIBED,
    "group_unsubscribe": Happening.UNSUBSCRIBED,
}

_DROPPED = {
    "bounced address": Reason.UNREACHABLE,
    "invalid": Reason.INVALID_ADDRESS,
    "unsubscribed address": Reason.OPTED_OUT,
    "spam reporting address": Reason.OPTED_OUT,
    "spam content": Reason.CONTENT,
    "recipient list over package quota": Reason.LIMIT,
    "invalid smtpapi header": Reason.MISCONFIGURED,
}


class SendgridSettings(CommonSettings, frozen=True, kw_only=True, rename={"sender": "from"}):
    """The API key, who messages are from, and what SendGrid signs its events with."""

    api_key: Secret
    sender: str
    from_name: str | None = None
    webhook_public_key: str | None = None
    """The verification key of the signed event webhook, base64; without it there are no receipts."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = []
        key, sender, public = given.get("api_key"), given.get("from"), given.get("webhook_public_key")
        if key is not None and not (key and key.isascii() and key.isprintable()):
            faults.append(("api_key", "must be printable ASCII, it travels in a header"))
        if sender is not None and not is_mailbox(sender):
            faults.append(("from", "must be an address, or a name and an address as `Shop <shop@example.com>`"))
        if public is not None and not _is_key(public):
            faults.append(("webhook_public_key", "must be the verification key as SendGrid shows it, `MFkwEwYH…`"))
        return faults


class Sendgrid(Provider):
    """One SendGrid account."""

    kind = "sendgrid"
    settings_type = SendgridSettings
    settings: SendgridSettings

    @property
    def capabilities(self) -> Capabilities:
        told = self.settings.webhook_public_key is not None
        return Capabilities(channels=("email",), receipts=told, echoes=True, batch_max=RECIPIENTS_MAX)

    def build(self, out: Outgoing) -> HttpRequest:
        """One mail. Raises `ValueError` for what SendGrid has no words for, `TooLong` above its size."""
        return self.build_all([out])

    def together(self, out: Outgoing) -> str | None:
        """A hash of the contents. With copies it goes alone: each of them counts as a recipient of the call."""
        body, letter = self.build(out).body, self._letter(out)
        if len(body) > SHARED_MAX or letter.cc or letter.bcc:
            return None
        return hashlib.sha256(msgspec.json.encode(_contents(letter))).hexdigest()

    def build_all(self, outs: Sequence[Outgoing]) -> HttpRequest:
        """An envelope for each, and the contents of the first, which are those of all."""
        letters = [self._letter(out) for out in outs]
        envelopes = [_envelope(out, letter) for out, letter in zip(outs, letters, strict=True)]
        body = msgspec.json.encode({"personalizations": envelopes, **_contents(letters[0])})
        if len(body) > SIZE_MAX:
            raise TooLong(f"the mail is larger than {SIZE_MAX} bytes")
        return HttpRequest("POST", self._url, self._headers, body)

    def _letter(self, out: Outgoing) -> Letter:
        return letter_of(out, self.settings.sender, self.settings.from_name)

    @cached_property
    def _url(self) -> str:
        return (self.settings.base_url or API).rstrip("/") + "/v3/mail/send"

    @cached_property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        return (
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Authorization", f"Bearer {self.settings.api_key.reveal()}"),
        )

    def parse(self, reply: Reply) -> Outcome:
        """A success with an id is acceptance. Of a refusal, the field that it names tells whose fault it is."""
        if 200 <= reply.status < 300:
            ref = vendor_id(reply.header("x-message-id"))
            return Accepted(ref) if ref else Unsure("a success without an id")
        words = self._words_of(reply)
        if reply.status == 404:
            return Misconfigured(f"HTTP 404: {words}".rstrip(": "))
        if reply.status == 400 and (field := _field(reply)):
            if field.startswith("from"):
                return Misconfigured(f"HTTP 400: {words}")
            if _OF_RECIPIENT.match(field):
                return Rejected(Reason.INVALID_ADDRESS, f"HTTP 400: {words}")
        return by_status(reply, words)

    def _words_of(self, reply: Reply) -> str:
        said = ("; ".join(f"{error['message']}" for error in _errors(reply) if isinstance(error.get("message"), str)))[:1000]
        return self.words(said)

    def parse_all(self, reply: Reply, outs: Sequence[Outgoing]) -> Sequence[Outcome] | None:
        """The same for all, but where one of the envelopes is to blame, or all of them together are too much."""
        apart = reply.status == 413 or (reply.status == 400 and _field(reply).startswith("personalizations"))
        if apart and len(outs) > 1:
            return None
        outcome = self.parse(reply)
        return [_as_named(outcome, reply, out) for out in outs]

    def flow(self, out: Outgoing) -> Flow:
        """One call. A sender that the message itself named is not held against the account."""
        answer = yield self.build(out)
        outcome = self.read(answer)
        return _as_named(outcome, answer, out) if isinstance(answer, Reply) else outcome

    def verify(self, hook: Hook) -> Verdict:
        """SendGrid's signature over the timestamp and the raw body."""
        stamp, given = (hook.header(f"x-twilio-email-event-webhook-{part}") for part in ("timestamp", "signature"))
        if self._key is None or stamp is None or given is None or not _UNIX.fullmatch(stamp) or not _SIGNATURE.fullmatch(given):
            return Verdict.BAD
        if not -AHEAD_S <= hook.now - int(stamp) <= OLDEST_S:
            return Verdict.BAD
        return Verdict.GOOD if ecdsa_signed(self._key, stamp.encode() + hook.body, given) else Verdict.BAD

    @cached_property
    def _key(self) -> bytes | None:
        text = self.settings.webhook_public_key
        return None if text is None else p256_key(text)

    def events(self, hook: Hook) -> Sequence[Receipt]:
        """The receipts of the events that are of messages of ours; one that can't be read costs none of the others."""
        receipts = (self._receipt(event) for event in _list(hook.body))
        return tuple(receipt for receipt in receipts if receipt is not None)

    def _receipt(self, event: Mapping[str, Any]) -> Receipt | None:
        word, attempt, whom = event.get("event"), vendor_id(event.get(ATTEMPT)), event.get(FOR)
        state = _STATES.get(word) if isinstance(word, str) else None
        if state is None or attempt is None:
            return None
        if whom is not None and whom != mark(attempt, str(event.get("email"))):
            return None  # of somebody who had a copy
        parts = (word, event.get("type"), event.get("reason") or event.get("response"))
        detail = self.words(", ".join(part for part in parts if isinstance(part, str)))
        reason = _reason(event) if state in _REFUTING else _LEFT.get(str(word))
        happened, more = _happened(event)
        if happened is Happening.OPENED_BY_MACHINE:
            state = AttemptState.DELIVERED
        at = _seconds(event.get("timestamp"))
        return Receipt(state, attempt, _ref(event.get("sg_message_id")), reason, detail, at, happened, more)


_OF_RECIPIENT = re.compile(r"personalizations\.[0-9]+\.to\b")
_REFUTING = frozenset({AttemptState.FAILED, AttemptState.REJECTED})


def _envelope(out: Outgoing, letter: Letter) -> dict[str, Any]:
    """Whom it goes to, and what its events echo."""
    if 1 + len(letter.cc) + len(letter.bcc) > RECIPIENTS_MAX:
        raise ValueError(f"more than {RECIPIENTS_MAX} recipients")
    copies = {name: _mailboxes(boxes) for name, boxes in (("cc", letter.cc), ("bcc", letter.bcc)) if boxes}
    echoed = {ATTEMPT: out.attempt} | ({FOR: mark(out.attempt, letter.to.address)} if copies else {})
    own = {"headers": dict(letter.headers)} if _linked(letter) else {}
    return {"to": _mailboxes([letter.to]), **copies, "custom_args": echoed, **own}


def _linked(letter: Letter) -> bool:
    """Whether one of its header fields is the link by which this recipient alone unsubscribes. Then all of them go with the
    envelope: SendGrid does not say what it makes of fields in both places."""
    return any(name == "List-Unsubscribe" for name, _ in letter.headers)


def _contents(letter: Letter) -> dict[str, Any]:
    """Everything that does not depend on whom it goes to."""
    said: dict[str, Any] = {"from": _mailbox(letter.sender), "subject": letter.subject}
    parts = (("text/plain", letter.text), ("text/html", letter.html))
    said["content"] = [{"type": kind, "value": value} for kind, value in parts if value]
    if letter.reply_to:
        said["reply_to"] = _mailbox(letter.reply_to)
    if letter.headers and not _linked(letter):
        said["headers"] = dict(letter.headers)
    if letter.attachments:
        said["attachments"] = [
            {"content": file.content, "filename": file.filename, "type": file.content_type, "disposition": "attachment"}
            for file in letter.attachments
        ]
    return said


def _as_named(outcome: Outcome, reply: Reply, out: Outgoing) -> Outcome:
    """A sender that the message itself named is not held against the account."""
    if out.sender and isinstance(outcome, Misconfigured) and _field(reply).startswith("from"):
        return Rejected(Reason.REJECTED, outcome.detail, Scope.SENDER)
    return outcome


def _mailboxes(boxes: Iterable[Mailbox]) -> list[dict[str, str]]:
    return [_mailbox(box) for box in boxes]


def _mailbox(box: Mailbox) -> dict[str, str]:
    """SendGrid takes neither `;` nor `,` in a name (its limitations)."""
    name = " ".join(re.sub("[;,]", " ", box.name).split())
    return {"email": box.address, "name": name} if name else {"email": box.address}


def _errors(reply: Reply) -> list[dict[str, Any]]:
    errors = json_object(reply.body).get("errors")
    return [error for error in errors[:10] if isinstance(error, dict)] if isinstance(errors, list) else []


def _field(reply: Reply) -> str:
    """The field of the call that the first error names."""
    errors = _errors(reply)
    field = errors[0].get("field") if errors else None
    return field if isinstance(field, str) else ""


def _list(body: bytes) -> list[dict[str, Any]]:
    """The objects of a JSON array; none for anything else."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    return [event for event in found if isinstance(event, dict)] if isinstance(found, list) else []


def _ref(value: object) -> str | None:
    """`X-Message-Id` is what stands before the first dot of an event's `sg_message_id`."""
    return vendor_id(value.partition(".")[0]) if isinstance(value, str) else None


def _happened(event: Mapping[str, Any]) -> tuple[Happening | None, str]:
    """What it tells beside the state, and more of that. A machine's opening is SendGrid's word (Apple's mail privacy)."""
    word = event.get("event")
    if word == "bounce":
        return Happening.BOUNCED, SOFT if event.get("type") == "blocked" else HARD
    if word == "open" and event.get("sg_machine_open") is True:
        return Happening.OPENED_BY_MACHINE, "open"
    return (_HAPPENED.get(word) if isinstance(word, str) else None), ""


def _reason(event: Mapping[str, Any]) -> Reason:
    """Why it was dropped, by SendGrid's own word; why it bounced, by the mail server's."""
    word, said, status = event.get("type"), event.get("reason"), event.get("status")
    if event.get("event") == "dropped":
        return _DROPPED.get(said.lower(), Reason.REJECTED) if isinstance(said, str) else Reason.REJECTED
    if word == "blocked":  # by policy, and for now: the address may be good
        return Reason.BLOCKED
    known = isinstance(status, str) and _NO_SUCH_MAILBOX.fullmatch(status)
    return Reason.INVALID_ADDRESS if known else Reason.UNREACHABLE


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e11:
        return float(value)
    return None


def _is_key(text: str) -> bool:
    try:
        return bool(p256_key(text))
    except ValueError:
        return False
