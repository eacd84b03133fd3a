"""Amazon SES: email by the API's second version, one call per message, receipts by SNS.

Read in November 2026:
  the call      https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
  its errors    https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html
  its quotas    https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html
  events        https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
  bounces       https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
  SNS           https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html (sns.py)

What shapes this file:
  * SendEmail has no idempotency key: what was lost may have been sent.
  * Events echo the tags of a mail, so the attempt's id travels there. That is event publishing, which belongs to a configuration
    set; the older notifications of an identity hold no tags, and are passed over.
  * One event may be about several recipients. Where there are copies, a tag says whom the message is for; opens and clicks don't
    say whose they are, and count only where there are none.
  * What SNS delivers is judged by its certificate, which has to be fetched first: `wants`. A subscription is confirmed by a call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.header import Header
from email.utils import formataddr
from functools import cached_property
from typing import Any

import msgspec
from msgspec.structs import replace

from sendwright.providers import sns
from sendwright.providers.answers import by_status, json_object, later
from sendwright.providers.contract import (
    HARD,
    SOFT,
    Accepted,
    Answer,
    AttemptState,
    Capabilities,
    CommonSettings,
    Flow,
    Happening,
    Hook,
    HttpRequest,
    Later,
    Misconfigured,
    Outcome,
    Outgoing,
    OwnCredentials,
    Provider,
    Reason,
    Receipt,
    Rejected,
    Reply,
    Scope,
    Secret,
    Token,
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.expiry import end_faults, end_of
from sendwright.providers.letter import Letter, Mailbox, is_mailbox, letter_of, mailbox, mark
from sendwright.providers.redaction import vendor_id
from sendwright.providers.sigv4 import Credentials, signed
from sendwright.providers.sigv4 import Scope as Signing

SIZE_MAX = 40_000_000
"""Bytes of a mail, attachments included."""
QUOTA_S = 600.0
"""How long the account rests when the day's quota is used up, in seconds: its 24 hours move on all the while."""
OWN_S = 300.0
"""How long the machine's own credentials are believed, in seconds. botocore gives none that end within ten minutes."""
RECIPIENTS_MAX = 50
HEADERS_MAX = 15

ATTEMPT = "sendwright_attempt"
FOR = "sendwright_for"
"""Names of our tags."""

_REGION = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}", re.ASCII)
_BASE = re.compile(r"https?://[^\s/?#@\x00-\x20\x7f]+(/[^\s?#\x00-\x20\x7f]*)?", re.ASCII | re.IGNORECASE)
_SET = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9]{16,128}", re.ASCII)
_PRINTABLE = re.compile(r"[ -~]{1,995}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_.@-]{1,256}", re.ASCII)
_BAD_ADDRESS = re.compile(r"illegal address|missing final|^domain |local address|invalid (email|to) address", re.IGNORECASE)
_QUOTA = re.compile(r"daily (message|sending) quota", re.IGNORECASE)
_UNVERIFIED = re.compile(r"not verified", re.IGNORECASE)
_FEEDBACK = re.compile(r"[a-z][a-z-]{0,31}", re.ASCII)
_NO_SUCH_MAILBOX = re.compile(r"[45]\.1\.[0-9]{1,3}", re.ASCII)

_WAIT = frozenset({
    "TooManyRequestsException", "ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled",
    "RequestThrottledException", "LimitExceededException", "BandwidthLimitExceeded", "SlowDown",
})  # fmt: skip
"""Not taken: too fast, or the day's quota, a window of 24 hours that moves."""
_ACCOUNT_FAULTS = frozenset({
    "AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException", "NotFoundException",
    "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException",
    "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "ExpiredTokenException", "OptInRequired", "NotAuthorized", "RequestExpired",
})  # fmt: skip
"""The account, its identities, its keys, its clock: the operator's to mend. What is not found is the configuration set."""

_ENDED = frozenset({"ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"})
_STATES = {
    "Send": AttemptState.SENT,
    "DeliveryDelay": AttemptState.SENT,
    "Delivery": AttemptState.DELIVERED,
    "Complaint": AttemptState.DELIVERED,
    "Subscription": AttemptState.DELIVERED,
    "Open": AttemptState.READ,
    "Click": AttemptState.READ,
    "Bounce": AttemptState.FAILED,
    "Rendering Failure": AttemptState.FAILED,
    "Reject": AttemptState.REJECTED,
}
"""Who complains has it, unless SES kept it back for an older complaint."""
_WHOSE = {
    "Delivery": ("delivery", "recipients"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
}
"""Where an event says whom it is about. A send or a reject is everybody's."""
_ANYBODYS = frozenset({"Open", "Click", "Subscription"})
_SUPPRESSED = "OnAccountSuppressionList"
_BOUNCED = {
    "NoEmail": Reason.INVALID_ADDRESS,
    "Suppressed": Reason.BLOCKED,
    _SUPPRESSED: Reason.BLOCKED,
    "UnsubscribedRecipient": Reason.OPTED_OUT,
    "MessageTooLarge": Reason.TOO_LONG,
    "ContentRejected": Reason.CONTENT,
    "AttachmentRejected": Reason.CONTENT,
}


class SesSettings(CommonSettings, frozen=True, kw_only=True, rename={"sender": "from"}):
    """Region, keys, who messages are from, and where their events come from."""

    region: str
    access_key_id: str | None = None
    """Without it, the machine's own credentials sign."""
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    session_token_expires: str | None = None
    """When temporary keys must have been replaced at the latest."""
    sender: str
    configuration_set: str | None = None
    topic_arn: str | None = None
    """The SNS topic that the configuration set publishes to; without it there are no receipts."""
    sns_base_url: str | None = None
    """Stands in SNS's place, as `base_url` does in SES's: for certificates and confirmations."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        shapes = (
            ("region", _REGION.fullmatch, "must be a region such as eu-central-1"),
            ("access_key_id", _KEY_ID.fullmatch, "must be a key id such as AKIA…"),
            ("from", is_mailbox, "must be an address, or a name and an address as `Shop <shop@example.com>`"),
            ("configuration_set", _SET.fullmatch, "must be a configuration set's name"),
            ("sns_base_url", _BASE.fullmatch, "must be http:// or https://, a host, and at most a path"),
            ("topic_arn", sns.topic_of, "must be a topic's name such as arn:aws:sns:eu-central-1:123456789012:mails"),
        )
        faults = [(key, what) for key, fits, what in shapes if given.get(key) is not None and not fits(given[key])]
        for key in ("secret_access_key", "session_token"):
            secret = given.get(key)
            if secret is not None and not (secret and secret.isascii() and secret.isprintable()):
                faults.append((key, "must be printable ASCII"))
        if (given.get("access_key_id") is None) != (given.get("secret_access_key") is None):
            missing = "access_key_id" if given.get("access_key_id") is None else "secret_access_key"
            faults.append(
                (missing, "access_key_id and secret_access_key go together; without both the machine's own credentials sign")
            )
        if given.get("session_token") is not None and given.get("access_key_id") is None:
            faults.append(("session_token", "goes with access_key_id and secret_access_key"))
        return [*faults, *end_faults(given, "session_token_expires")]


class _Keys(msgspec.Struct):
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return "_Keys(…)"


class Ses(Provider):
    """One account of Amazon SES in one region."""

    kind = "ses"
    settings_type = SesSettings
    credential = "session_token"
    settings: SesSettings

    @property
    def capabilities(self) -> Capabilities:
        told = self.settings.topic_arn is not None
        elsewhere = self.settings.sns_base_url is not None
        own = self.settings.access_key_id is None
        return Capabilities(channels=("email",), receipts=told, echoes=True, tokens=own, fetches=told, fetches_unguarded=elsewhere)

    @property
    def lives_until(self) -> float | None:
        named = self.settings.session_token_expires
        return None if named is None else end_of(named)

    def build(self, out: Outgoing) -> HttpRequest:
        """One mail. Raises `ValueError` for what SES has no words for, `TooLong` above its size."""
        letter = letter_of(out, self.settings.sender, None)
        body = msgspec.json.encode(self._mail(out, letter))
        if len(body) > SIZE_MAX:
            raise TooLong(f"the mail is larger than {SIZE_MAX} bytes")
        headers = (("Content-Type", "application/json"), ("Accept", "application/json"))
        scope = Signing(self.settings.region, "ses", out.now)
        return signed(HttpRequest("POST", self._url, headers, body), self._credentials(out), scope)

    @cached_property
    def _url(self) -> str:
        region = self.settings.region
        host = f"email.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
        return (self.settings.base_url or f"https://{host}").rstrip("/") + "/v2/email/outbound-emails"

    def _credentials(self, out: Outgoing) -> Credentials:
        own = self.settings
        if own.access_key_id is not None and own.secret_access_key is not None:
            return Credentials(own.access_key_id, own.secret_access_key, own.session_token)
        if out.token is None:
            raise ValueError("the machine's own credentials are missing")
        keys = msgspec.json.decode(out.token.reveal(), type=_Keys)
        return Credentials(
            keys.access_key_id, Secret(keys.secret_access_key), Secret(keys.session_token) if keys.session_token else None
        )

    def token_request(self, now: float) -> OwnCredentials:
        return OwnCredentials("aws")

    def token_of(self, answer: Answer, now: float) -> Token | Outcome:
        """The machine's own credentials, to be asked for again in a few minutes: they are renewed well before their end."""
        if not isinstance(answer, Reply):
            return self.read(answer)
        if answer.status == 501:
            return Misconfigured("the machine's own credentials take the extra `ses`, which is not installed")
        if answer.status == 404:
            return Misconfigured("no access_key_id is set, and no source of the machine's own credentials has any")
        try:
            keys = msgspec.json.decode(answer.body, type=_Keys)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return by_status(answer, "no credentials") if answer.status != 200 else Later("an answer without keys", called=False)
        if answer.status != 200 or not _KEY_ID.fullmatch(keys.access_key_id) or not keys.secret_access_key:
            return Later("an answer without keys", called=False)
        return Token(Secret(msgspec.json.encode(keys).decode()), now + OWN_S)

    def token_refused(self, reply: Reply) -> bool:
        """Keys that have ended, or were taken away."""
        return _code(reply, json_object(reply.body)) in _ENDED

    def _mail(self, out: Outgoing, letter: Letter) -> dict[str, Any]:
        if 1 + len(letter.cc) + len(letter.bcc) > RECIPIENTS_MAX:
            raise ValueError(f"more than {RECIPIENTS_MAX} recipients")
        tags = [(ATTEMPT, out.attempt), *([(FOR, mark(out.attempt, letter.to.address))] if letter.cc or letter.bcc else [])]
        if not all(_TAG.fullmatch(value) for _, value in tags):
            raise ValueError("the attempt's id is not fit for a tag")
        said = {
            "FromEmailAddress": _written(letter.sender),
            "Destination": _without_empty({
                "ToAddresses": _all(letter.to),
                "CcAddresses": _all(*letter.cc),
                "BccAddresses": _all(*letter.bcc),
            }),
            "ReplyToAddresses": _all(letter.reply_to) if letter.reply_to else None,
            "Content": {"Simple": _simple(letter)},
            "EmailTags": [{"Name": name, "Value": value} for name, value in tags],
            "ConfigurationSetName": self.settings.configuration_set,
        }  # fmt: skip
        return _without_empty(said)

    def parse(self, reply: Reply) -> Outcome:
        """A success with an id is acceptance. Of a refusal, SES's own name of it speaks before the status."""
        answer = json_object(reply.body)
        if 200 <= reply.status < 300:
            ref = vendor_id(answer.get("MessageId"))
            return Accepted(ref) if ref else Unsure("a success without an id")
        code, said = _code(reply, answer), answer.get("message", answer.get("Message"))
        words = self.words(said)
        detail = ": ".join(part for part in (code, words) if part)
        if 400 <= reply.status < 500 and reply.status != 429:
            if code in _WAIT:
                return _later(reply, detail)
            if code in _ACCOUNT_FAULTS or reply.status == 404:
                return Misconfigured(detail or f"HTTP {reply.status}")
            if code == "MessageRejected":
                return self._rejected(said if isinstance(said, str) else "", detail)
            if code == "BadRequestException" and isinstance(said, str) and _BAD_ADDRESS.search(said):
                return Rejected(Reason.INVALID_ADDRESS, detail)
        outcome = by_status(reply, detail)
        return _later(reply, outcome.detail) if reply.status == 429 and isinstance(outcome, Later) else outcome

    def _rejected(self, said: str, detail: str) -> Outcome:
        """For what it says; or for an identity that is not verified: the sender's is the operator's to mend, a recipient's is
        asked of accounts in SES's sandbox alone."""
        if not _UNVERIFIED.search(said):
            return Rejected(Reason.CONTENT, detail)
        sender = mailbox(self.settings.sender).address.lower()
        return Misconfigured(detail) if sender in said.lower() else Rejected(Reason.REJECTED, detail, Scope.SENDER)

    def flow(self, out: Outgoing) -> Flow:
        """One call. A sender that the message itself named is not held against the account."""
        answer = yield self.build(out)
        outcome = self.read(answer)
        if out.sender and isinstance(outcome, Misconfigured) and _blames_sender(answer):
            return Rejected(Reason.REJECTED, outcome.detail, Scope.SENDER)
        return outcome

    # Callbacks

    def wants(self, hook: Hook) -> HttpRequest | None:
        """The certificate of the region's SNS that a message of our topic says it is signed with."""
        said = self._said(hook)
        return None if said is None else self._get(said["SigningCertURL"])

    def verify(self, hook: Hook) -> Verdict:
        """SNS's signature over what the message says, by the certificate that was fetched."""
        said = self._said(hook)
        if said is None:
            return Verdict.BAD
        if not isinstance(hook.fetched, Reply) or hook.fetched.status >= 500 or hook.fetched.status == 429:
            return Verdict.LATER
        good = hook.fetched.status == 200 and sns.is_signed(said, hook.fetched.body, hook.now)
        return Verdict.GOOD if good else Verdict.BAD

    def follows(self, hook: Hook) -> HttpRequest | None:
        """A subscription is confirmed by calling the address that the message names."""
        said = self._said(hook)
        if said is None or said["Type"] != sns.SUBSCRIPTION:
            return None
        return self._get(said["SubscribeURL"])

    def _said(self, hook: Hook) -> dict[str, str] | None:
        topic = self.settings.topic_arn
        return None if topic is None else sns.message_of(hook.body, topic, hook.now)

    def _get(self, url: str) -> HttpRequest:
        base = self.settings.sns_base_url
        return HttpRequest("GET", url if base is None else base.rstrip("/") + sns.path_of(url))

    def events(self, hook: Hook) -> Sequence[Receipt]:
        """The one receipt of an event, if it is about a message of ours and the one that it is for."""
        event = json_object(str(json_object(hook.body).get("Message", "")).encode("utf-8", "replace"))
        word, mail = event.get("eventType"), _object(event.get("mail"))
        state = _STATES.get(word) if isinstance(word, str) else None
        attempt, whom = (_tag(mail, name) for name in (ATTEMPT, FOR))
        about = self._about(event, str(word), attempt, whom)
        if state is None or attempt is None or about is None:
            return ()
        body = _object(event.get(_BODIES.get(str(word), "")))
        if word == "Complaint" and body.get("complaintSubType") == _SUPPRESSED:
            state = AttemptState.FAILED
        reason = _reason(str(word), body, about) if state in _REFUTING or _wants_no_more(str(word), body) else None
        at = _seconds(body.get("timestamp")) or _seconds(mail.get("timestamp"))
        happened, more = _happened(str(word), body)
        ref, detail = vendor_id(mail.get("messageId")), self._detail(str(word), body, about)
        return (Receipt(state, attempt, ref, reason, detail, at, happened, more),)

    def _about(self, event: Mapping[str, Any], word: str, attempt: str | None, whom: str | None) -> Mapping[str, Any] | None:
        """What an event says of the one that the message is for; None where it is about others."""
        body_name, name = _WHOSE.get(word, ("", ""))
        entries = _object(event.get(body_name)).get(name)
        found = (
            [entry if isinstance(entry, dict) else {"emailAddress": entry} for entry in entries if entry]
            if isinstance(entries, list)
            else []
        )
        if whom is None:
            return found[0] if found else {}
        if word in _ANYBODYS:
            return None
        if not name:
            return {}
        return next((entry for entry in found if mark(attempt or "", str(entry.get("emailAddress"))) == whom), None)

    def _detail(self, word: str, body: Mapping[str, Any], about: Mapping[str, Any]) -> str:
        names = ("bounceType", "bounceSubType", "complaintFeedbackType", "complaintSubType", "delayType", "reason", "errorMessage")
        parts = [word, *(body.get(name) for name in (*names, "smtpResponse")), about.get("diagnosticCode")]
        return self.words(", ".join(part for part in parts if isinstance(part, str)))


_OF_SENDER = frozenset({"MessageRejected", "MailFromDomainNotVerifiedException"})
_REFUTING = frozenset({AttemptState.FAILED, AttemptState.REJECTED})
_BODIES = {
    "Send": "send",
    "Delivery": "delivery",
    "DeliveryDelay": "deliveryDelay",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Reject": "reject",
    "Open": "open",
    "Click": "click",
    "Subscription": "subscription",
    "Rendering Failure": "failure",
}


def _simple(letter: Letter) -> dict[str, Any]:
    """The content that SES makes a MIME message of."""
    if len(letter.headers) > HEADERS_MAX:
        raise ValueError(f"more than {HEADERS_MAX} header fields")
    body = {"Text": _data(letter.text) if letter.text else None, "Html": _data(letter.html) if letter.html else None}
    files = [
        {
            "FileName": file.filename,
            "ContentType": file.content_type,
            "ContentDisposition": "ATTACHMENT",
            "ContentTransferEncoding": "BASE64",
            "RawContent": file.content,
        }
        for file in letter.attachments
    ]
    headers = [{"Name": name, "Value": _field(value)} for name, value in letter.headers]
    said = {"Subject": _data(letter.subject), "Body": _without_empty(body), "Headers": headers, "Attachments": files}
    return _without_empty(said)


def _data(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _field(value: str) -> str:
    """As SES takes a header field's value: printable ASCII, so other letters are encoded (RFC 2047)."""
    written = value if value.isascii() else Header(value, "utf-8", maxlinelen=900).encode(linesep="")
    if not _PRINTABLE.fullmatch(written):
        raise ValueError("a header field's value is empty or too long")
    return written


def _all(*boxes: Mailbox) -> list[str]:
    return [_written(box) for box in boxes]


def _written(box: Mailbox) -> str:
    return formataddr((box.name, box.address), "utf-8") if box.name else box.address


def _without_empty(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value not in (None, [], {})}


def _code(reply: Reply, answer: Mapping[str, Any]) -> str:
    """SES's name of an error, from the header or the body: `…#Name`, `Name:address`, or bare."""
    found: Iterable[object] = (reply.header("x-amzn-errortype"), answer.get("__type"), answer.get("code"))
    text = next((each for each in found if isinstance(each, str) and each), "")
    name = text.partition(":")[0].rpartition("#")[2]
    return vendor_id(name) or ""


def _later(reply: Reply, detail: str) -> Later:
    """Not taken: SES drops what is over a quota, and asks for patience of up to ten minutes."""
    found = later(reply, detail)
    return replace(found, after_s=QUOTA_S) if found.after_s is None and _QUOTA.search(detail) else found


def _blames_sender(answer: Answer) -> bool:
    return isinstance(answer, Reply) and _code(answer, json_object(answer.body)) in _OF_SENDER


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tag(mail: Mapping[str, Any], name: str) -> str | None:
    values = _object(mail.get("tags")).get(name)
    return vendor_id(values[0]) if isinstance(values, list) and values else None


def _wants_no_more(word: str, body: Mapping[str, Any]) -> bool:
    """A complaint, unless it takes an older one back; or who unsubscribes at SES's own page from everything, not from a topic."""
    if word == "Subscription":
        return _object(body.get("newTopicPreferences")).get("unsubscribeAll") is True
    return word == "Complaint" and body.get("complaintFeedbackType") != "not-spam"


def _reason(word: str, body: Mapping[str, Any], about: Mapping[str, Any]) -> Reason:
    if word in {"Complaint", "Subscription"}:
        return Reason.OPTED_OUT
    if word != "Bounce":
        return Reason.CONTENT
    kind, status = body.get("bounceSubType"), about.get("status")
    known = _BOUNCED.get(kind) if isinstance(kind, str) else None
    if known is None and isinstance(status, str) and _NO_SUCH_MAILBOX.fullmatch(status):
        return Reason.INVALID_ADDRESS
    return known or Reason.UNREACHABLE


def _happened(word: str, body: Mapping[str, Any]) -> tuple[Happening | None, str]:
    """What it tells beside the state, and more of that. What SES kept back for an older complaint is no new one."""
    if word == "Bounce":
        return Happening.BOUNCED, HARD if body.get("bounceType") == "Permanent" else SOFT
    if word == "Complaint" and body.get("complaintSubType") != _SUPPRESSED and _wants_no_more(word, body):
        kind = body.get("complaintFeedbackType")
        return Happening.COMPLAINED, kind if isinstance(kind, str) and _FEEDBACK.fullmatch(kind) else ""
    if word == "Subscription" and not _opts_in(_object(body.get("newTopicPreferences"))):
        return Happening.UNSUBSCRIBED, ""
    return (Happening.CLICKED if word == "Click" else None), ""


def _opts_in(chosen: Mapping[str, Any]) -> bool:
    """Whether a person who changed their subscriptions has opted out of none."""
    topics = chosen.get("topicSubscriptionStatus")
    states = [_object(topic).get("subscriptionStatus") for topic in topics] if isinstance(topics, list) else []
    return chosen.get("unsubscribeAll") is not True and bool(states) and all(state == "OptIn" for state in states)


def _seconds(value: object) -> float | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at.timestamp() if at and at.tzinfo else None
    except (ValueError, OverflowError):
        return None
