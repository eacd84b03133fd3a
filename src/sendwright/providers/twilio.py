"""Twilio: SMS and MMS by the Messages resource, one call per message, receipts by status callbacks.

Read in November 2026:
  the call        https://www.twilio.com/docs/messaging/api/message-resource
  its codes       https://www.twilio.com/docs/api/errors
  callbacks       https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
  messages to us  https://www.twilio.com/docs/messaging/guides/webhook-request
  opting out      https://www.twilio.com/docs/messaging/guides/advanced-opt-out
  signatures      https://www.twilio.com/docs/usage/webhooks/webhooks-security

What shapes this file:
  * Messages have no idempotency key. A 500 may have sent it (docs/api/errors/20500 says so), a 503 and a 429 have not
    (20503, 20429), so the first is unsure and the others are later.
  * A callback finds its attempt by `a` in the callback's address, which is signed, before or without the SID.
  * Callbacks come out of order and more than once; states join upwards, so that needs nothing here.
  * Signatures hold no time, so an old callback verifies for ever. Repeating one changes nothing.
  * Twilio says that codes change and should not be relied on: a code that is not in the tables below is never an
    error, only less exact.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

from sendwright.providers.answers import by_status, json_object, later
from sendwright.providers.contract import (
    Accepted,
    AttemptState,
    Capabilities,
    CommonSettings,
    Flow,
    Hook,
    HttpRequest,
    Inbound,
    Later,
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
    Unsure,
    Verdict,
)
from sendwright.providers.forms import form_of
from sendwright.providers.redaction import vendor_id
from sendwright.providers.signing import form_signature, port_spellings, same

API = "https://api.twilio.com"
BODY_MAX = 1600
MEDIA_MAX = 10
VALIDITY_MAX_S = 36_000

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=", re.ASCII)
"""HMAC-SHA1 in base64."""
_BODY_HASH = "bodySHA256"

_STATES = {
    "accepted": AttemptState.SENT,
    "scheduled": AttemptState.SENT,
    "queued": AttemptState.SENT,
    "sending": AttemptState.SENT,
    "sent": AttemptState.SENT,
    "partially_delivered": AttemptState.SENT,
    "delivered": AttemptState.DELIVERED,
    "read": AttemptState.READ,
    "undelivered": AttemptState.FAILED,
    "failed": AttemptState.FAILED,
    "canceled": AttemptState.FAILED,
}
"""What is not here is about somebody's message to us."""
_TO_US = frozenset({"receiving", "received"})
_OPT_OUT: dict[str, Literal["stop", "start", "help"]] = {"STOP": "stop", "START": "start", "HELP": "help"}
_ENDED = frozenset({"undelivered", "failed", "canceled"})

_REFUSED: dict[int, tuple[Reason, Scope]] = {
    21211: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    21214: (Reason.UNREACHABLE, Scope.RECIPIENT),
    21265: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # a short code
    21266: (Reason.INVALID_ADDRESS, Scope.SENDER),  # to itself
    21268: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # a premium number
    21408: (Reason.REJECTED, Scope.SENDER),  # that country is not switched on for this account
    21602: (Reason.CONTENT, Scope.RECIPIENT),
    21604: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    21605: (Reason.TOO_LONG, Scope.RECIPIENT),
    21608: (Reason.REJECTED, Scope.SENDER),  # a trial account writes to verified numbers only
    21610: (Reason.OPTED_OUT, Scope.RECIPIENT),
    21612: (Reason.UNREACHABLE, Scope.SENDER),  # not from this number to that one
    21614: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # not mobile
    21617: (Reason.TOO_LONG, Scope.RECIPIENT),
    21619: (Reason.CONTENT, Scope.RECIPIENT),
    21620: (Reason.CONTENT, Scope.RECIPIENT),  # media address
    21623: (Reason.CONTENT, Scope.RECIPIENT),  # too many media
    21635: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # a landline
    30003: (Reason.UNREACHABLE, Scope.RECIPIENT),
    30004: (Reason.BLOCKED, Scope.RECIPIENT),
    30005: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # nobody has that number
    30006: (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # a landline
    30007: (Reason.CONTENT, Scope.SENDER),  # filtered, by what it says and who sends it
    30008: (Reason.UNKNOWN, Scope.RECIPIENT),
    30010: (Reason.BUDGET, Scope.SENDER),
    30019: (Reason.TOO_LONG, Scope.RECIPIENT),
    30036: (Reason.EXPIRED, Scope.RECIPIENT),  # longer in Twilio's queue than ValidityPeriod
}
"""Permanent refusals. Somebody who answered STOP (21610) has told *us* to stop, whatever number we use: that is the
recipient's scope, so that no other SMS provider is tried. Too long for an SMS is not too long for an email, so the
scope is the recipient's there too: the next step goes on."""

_CROWDED = frozenset({20429, 21611, 30001, 30022, 30023, 30454, 63017, 63038})
"""Not taken, and nobody is ill: too fast, or (21611, 30001) hours of messages wait for this sender already. Another
provider may have room at once."""

_PAIR = frozenset({14107})
"""Too fast from this number to that one (docs/api/errors/14107): nobody else waits."""

_ACCOUNT_FAULTS = frozenset({10001, 20003, 20005, 20404, 21609, 30002, 30018, 30024, 30032, 30033, 30034, 30035})
"""The account, its registration, or (21609) an address for callbacks that Twilio won't take: the operator's to mend."""
_SENDER_FAULTS = frozenset({21212, 21267, 21603, 21606, 21621, 21622, 21659, 21660, 21661, 21701, 21703, 21704, 21705, 21712})
"""Who it is from. The account's own sender: the operator's to mend. One that the message named: that message's fault."""


class TwilioSettings(CommonSettings, frozen=True, kw_only=True, rename={"sender": "from"}):
    """Credentials, and who messages are from."""

    account_sid: str
    auth_token: Secret | None = None
    """Signs callbacks too; without it there are no receipts."""
    api_key_sid: str | None = None
    api_key_secret: Secret | None = None
    sender: str | None = None
    messaging_service_sid: str | None = None
    segments_max: int | None = None
    """In how many parts a message may travel, at the most."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = []
        sid = given.get("account_sid")
        if sid is not None and not (sid.startswith("AC") and _SID.fullmatch(sid)):
            faults.append(("account_sid", "must begin with AC and hold letters and digits only"))
        if ("from" in given) == ("messaging_service_sid" in given):
            faults.append(("from", "give either `from` or `messaging_service_sid`"))
        if ("api_key_sid" in given) != ("api_key_secret" in given):
            faults.append(("api_key_sid", "`api_key_sid` and `api_key_secret` go together"))
        elif "auth_token" not in given and "api_key_sid" not in given:
            faults.append(("auth_token", "give `auth_token`, or `api_key_sid` with `api_key_secret`"))
        if (segments := given.get("segments_max")) is not None and segments < 1:
            faults.append(("segments_max", "must be 1 or more"))
        faults += [(key, "must not be empty") for key, value in given.items() if value == ""]
        return faults


class Twilio(Provider):
    """One Twilio account."""

    kind = "twilio"
    settings_type = TwilioSettings
    settings: TwilioSettings

    @property
    def capabilities(self) -> Capabilities:
        told = self.settings.auth_token is not None
        return Capabilities(
            channels=("sms",),
            receipts=told,
            echoes=True,
            lookups=True,
            media=True,
            body_max=BODY_MAX,
            segments_max=self.settings.segments_max,
        )

    def build(self, out: Outgoing) -> HttpRequest:
        """One Message. Raises `ValueError` for a recipient, a body or media that Twilio's rules leave no room for."""
        return HttpRequest("POST", self._url, self._headers, form_of(self._form(out)))

    def lookup(self, ref: str) -> HttpRequest:
        """Fetches one Message (docs/messaging/api/message-resource)."""
        if not _SID.fullmatch(ref):
            raise ValueError("not a SID")
        return HttpRequest("GET", f"{self._messages}/{ref}.json", self._headers[1:])

    def found(self, reply: Reply) -> Receipt | None:
        """How a Message stands; nothing while it is on its way, and nothing that is not the Message resource."""
        said = json_object(reply.body) if reply.status == 200 else {}
        ref, word = vendor_id(said.get("sid")), said.get("status")
        state = _STATES.get(word) if isinstance(word, str) else None
        if ref is None or state is None or state <= AttemptState.SENT:
            return None
        code = _number(said.get("error_code"))
        detail = " ".join(str(part) for part in (word, code, self.words(said.get("error_message"))) if part)
        return Receipt(state, ref=ref, reason=_reason(code) if word in _ENDED else None, detail=detail)

    @cached_property
    def _url(self) -> str:
        return f"{self._messages}.json"

    @cached_property
    def _messages(self) -> str:
        base = (self.settings.base_url or API).rstrip("/")
        return f"{base}/2010-04-01/Accounts/{quote(self.settings.account_sid, safe='')}/Messages"

    @cached_property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        own = self.settings
        user, password = (own.api_key_sid, own.api_key_secret) if own.api_key_sid else (own.account_sid, own.auth_token)
        credentials = base64.b64encode(f"{user}:{password.reveal() if password else ''}".encode()).decode()
        return (
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
            ("Authorization", f"Basic {credentials}"),
        )

    def _form(self, out: Outgoing) -> list[tuple[str, str]]:
        own, text = self.settings, self.counted(out)
        if out.channel != "sms":
            raise ValueError("Twilio takes this account's SMS only")
        if _E164.fullmatch(out.address) is None:
            raise ValueError("the recipient is not a number in E.164")
        self.limited(text)
        if len(out.media) > MEDIA_MAX:
            raise ValueError(f"more than {MEDIA_MAX} media")
        if not text and not out.media:
            raise ValueError("neither a body nor media")
        form = [("To", out.address)]
        if sender := out.sender or own.sender:
            form.append(("From", sender))
        if own.messaging_service_sid:
            form.append(("MessagingServiceSid", own.messaging_service_sid))
        if text:
            form.append(("Body", text))
        form += [("MediaUrl", item.url) for item in out.media]
        if out.callback_url and own.auth_token:
            form.append(("StatusCallback", out.callback_url))
        if out.ttl_s is not None and out.ttl_s <= VALIDITY_MAX_S:
            form.append(("ValidityPeriod", str(max(1, out.ttl_s))))
        return form

    def parse(self, reply: Reply) -> Outcome:
        """A SID is acceptance, whatever the status beside it, unless that says that it has failed already."""
        answer = json_object(reply.body)
        if 200 <= reply.status < 300:
            return _taken(reply, answer, self.words(answer.get("error_message")))
        code, words = _number(answer.get("code")), self.words(answer.get("message"))
        known = _by_code(reply, code, words) if 400 <= reply.status < 500 else None
        if reply.status == 429:
            return known if isinstance(known, Later) else by_status(reply, words)
        if known is None and reply.status == 404:
            return Misconfigured(f"HTTP 404: {words}")
        return known or by_status(reply, f"{code} {words}" if code else words)

    def flow(self, out: Outgoing) -> Flow:
        """One call. A sender that the message itself named is not held against the account."""
        answer = yield self.build(out)
        outcome = self.read(answer)
        if out.sender and isinstance(outcome, Misconfigured) and isinstance(answer, Reply) and _code(answer) in _SENDER_FAULTS:
            return Rejected(Reason.REJECTED, outcome.detail, Scope.SENDER)
        return outcome

    def verify(self, hook: Hook) -> Verdict:
        """Twilio's signature over the callback's address and parameters, or over its address and its body's hash."""
        token, given = self.settings.auth_token, hook.header("x-twilio-signature")
        if token is None or given is None or not _SIGNATURE.fullmatch(given):
            return Verdict.BAD  # a body that nobody has signed is not worth reading
        hashed = hook.param(_BODY_HASH)
        params = _form_of(hook.body) if hashed is None else []
        if params is None or (hashed is not None and not same(hashlib.sha256(hook.body).hexdigest(), hashed)):
            return Verdict.BAD
        # Twilio signs with or without the port, by rules of its own; its libraries accept either, so we do.
        good = [same(form_signature(token.reveal(), url, params), given) for url in port_spellings(hook.url)]
        return Verdict.GOOD if any(good) else Verdict.BAD

    def events(self, hook: Hook) -> Sequence[Receipt | Inbound]:
        """The one receipt of a status callback, or the one message to us; none for what can't be read."""
        said = dict(reversed(_form_of(hook.body) or []))
        word = said.get("MessageStatus") or said.get("SmsStatus") or ""
        if word in _TO_US:
            return _inbound(said)
        state = _STATES.get(word)
        attempt = vendor_id(hook.param("a"))
        ref = vendor_id(said.get("MessageSid")) or vendor_id(said.get("SmsSid"))
        if state is None or not (attempt or ref):
            return ()
        code = _number(said.get("ErrorCode"))
        words = said.get("ErrorMessage") or said.get("ChannelStatusMessage") or ""
        detail = " ".join(str(part) for part in (word, code, self.words(words)) if part)
        return (Receipt(state, attempt, ref, _reason(code) if word in _ENDED else None, detail),)


def _inbound(said: Mapping[str, str]) -> Sequence[Inbound]:
    """A message to one of our numbers. `OptOutType` comes where the messaging service looks after opting out itself."""
    ref = vendor_id(said.get("MessageSid")) or vendor_id(said.get("SmsSid"))
    sender = said.get("From", "")
    if ref is None or _E164.fullmatch(sender) is None:
        return ()
    word = _OPT_OUT.get(said.get("OptOutType", "").upper())
    return (Inbound("sms", sender, said.get("Body", ""), ref, word=word, answered=word is not None),)


def _taken(reply: Reply, answer: Mapping[str, Any], words: str) -> Outcome:
    ref, status, code = vendor_id(answer.get("sid")), answer.get("status"), _number(answer.get("error_code"))
    if ref is None:
        return Unsure("a success without a SID")
    if not isinstance(status, str) or status not in _ENDED:
        return Accepted(ref)
    return _by_code(reply, code, words) or Rejected(_reason(code), f"{status} {code or ''} {words}".strip())


def _by_code(reply: Reply, code: int | None, words: str) -> Outcome | None:
    """What Twilio's own code says of a refusal; None for one that is not in the tables."""
    detail = f"{code}: {words}"
    if code in _REFUSED:
        reason, scope = _REFUSED[code]
        return Rejected(reason, detail, scope)
    if code in _PAIR:
        return later(reply, detail, scope=Scope.SENDER)
    if code in _CROWDED:
        return later(reply, detail)
    if code in _ACCOUNT_FAULTS or code in _SENDER_FAULTS:
        return Misconfigured(detail)
    return None


def _reason(code: int | None) -> Reason:
    """Why a message failed that Twilio had taken."""
    if code is None:
        return Reason.UNKNOWN
    if code in _ACCOUNT_FAULTS or code in _SENDER_FAULTS:
        return Reason.MISCONFIGURED
    if code in _CROWDED or code in _PAIR:
        return Reason.LIMIT
    return _REFUSED[code][0] if code in _REFUSED else Reason.UNKNOWN


def _code(reply: Reply) -> int | None:
    return _number(json_object(reply.body).get("code"))


def _number(value: object) -> int | None:
    """A code: JSON gives a number, a form gives its digits."""
    if isinstance(value, str) and 0 < len(value) < 8 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _form_of(body: bytes) -> list[tuple[str, str]] | None:
    """The parameters of a form, blank ones too (they are signed); None when it is not one."""
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=200) if text else []
    except ValueError:
        return None
