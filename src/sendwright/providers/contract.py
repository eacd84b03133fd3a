"""The contract for adapters: what a provider file offers, and what it is given.

A provider is *sans-IO*. The engine asks it to `build` a request, carries that to the vendor itself, and asks it to
`parse` what came back; a vendor's callback is `verify`-ed on its raw bytes and then read by `events`. A provider that
needs more than one call writes a `flow`, a generator that yields requests and is sent what came of them.

Demands on every kind (tests/conformance/test_every_provider.py holds each to them):
  junk bytes never raise · 429 in any dialect is `Later` · 401 is `Misconfigured` · a lost answer is `Unsure` ·
  a bad signature is refused · no secret ever shows in a repr.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeVar

from msgspec import Struct, structs

from sendwright.model.content import Action, Own
from sendwright.model.happenings import HARD, SOFT, Happening
from sendwright.model.inbox import ItemContent
from sendwright.model.outcomes import Accepted, Later, Misconfigured, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.model.states import AttemptState
from sendwright.providers.exchange import (
    ENTROPY,
    OURS,
    Answer,
    AppriseRequest,
    ConsoleLine,
    Flow,
    HttpRequest,
    InboxItem,
    Lost,
    Media,
    NotSent,
    Outgoing,
    OwnCredentials,
    Part,
    Passenger,
    Reply,
    Request,
    TooLong,
    length_of,
)
from sendwright.providers.mail import MailReply, MailRequest, RecipientReply
from sendwright.providers.redaction import vendor_words
from sendwright.providers.secret import Secret

__all__ = [
    "ENTROPY",
    "HARD",
    "OURS",
    "SOFT",
    "Accepted",
    "Action",
    "Answer",
    "AppriseRequest",
    "AttemptState",
    "Capabilities",
    "CommonSettings",
    "ConsoleLine",
    "Flow",
    "Happening",
    "Hook",
    "HttpRequest",
    "Inbound",
    "InboxItem",
    "ItemContent",
    "Later",
    "Life",
    "Lost",
    "MailReply",
    "MailRequest",
    "Media",
    "Misconfigured",
    "NotSent",
    "Outcome",
    "Outgoing",
    "Own",
    "OwnCredentials",
    "Part",
    "Passenger",
    "Provider",
    "Reason",
    "Receipt",
    "RecipientReply",
    "Rejected",
    "Reply",
    "Request",
    "Scope",
    "Secret",
    "Token",
    "TooLong",
    "Unsure",
    "Verdict",
    "length_of",
]

EVERY_CHANNEL = (
    "push", "webpush", "inapp", "whatsapp", "instagram", "messenger", "telegram",
    "line", "slack", "discord", "teams", "sms", "email", "webhook",
)  # fmt: skip
"""The channels of the contract, in their default order."""
SECRET_MIN = 8
"""Characters from which on a secret is masked in a vendor's answer."""


class Hook(Struct, frozen=True):
    """A vendor's callback, as it came. `url` is built from our `public_url`, never from the Host header, and ends in the
    query as it came, byte for byte: that is what vendors sign."""

    method: str
    url: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes
    now: float
    """Unix seconds when it came, for signatures with a time in them."""
    fetched: Answer | None = None
    """What came of the request that the kind `wants`; None where it wants none."""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def param(self, name: str) -> str | None:
        return next((value for key, value in self.query if key == name), None)

    def __repr__(self) -> str:
        return f"Hook({self.method}, {len(self.body)} bytes)"


class Verdict(StrEnum):
    GOOD = "good"
    BAD = "bad"
    """A bad, stale or missing signature: 401."""
    FOREIGN = "foreign"
    """A source that may not call: 403."""
    LATER = "later"
    """What it takes to judge it can't be had now: 503, so that the vendor comes again."""


class Receipt(Struct, frozen=True, omit_defaults=True):
    """What a vendor reports of one attempt: evidence that joins it."""

    state: AttemptState
    attempt: str | None = None
    """Our id, where the vendor echoes it (in the callback's address or its payload)."""
    ref: str | None = None
    """The vendor's id of the message."""
    reason: Reason | None = None
    detail: str = ""
    """The vendor's own words."""
    at: float | None = None
    """Unix seconds, by the vendor's clock."""
    happened: Happening | None = None
    """What it reports beside that: a bounce, a complaint, a click, an unsubscribing, or an opening by a machine, whose state is
    `delivered` at most."""
    more: str = ""
    """Of a bounce `HARD` or `SOFT`, of a complaint the vendor's word for its kind, of a machine what it did. Never an address."""

    def __repr__(self) -> str:
        return f"Receipt({self.state}, attempt={self.attempt!r})"


class Inbound(Struct, frozen=True, omit_defaults=True):
    """What a person says back to one of our senders."""

    channel: str
    address: str
    """The person's, as the directory has it."""
    text: str = ""
    ref: str | None = None
    """The vendor's id of it: the same one, told twice, is heard once."""
    at: float | None = None
    """Unix seconds, by the vendor's clock."""
    word: Literal["stop", "start", "help"] | None = None
    """Where the vendor itself took it for that; otherwise it is judged by its text, then by its payload."""
    payload: str = ""
    """What the sender had put behind the button that was pressed."""
    aliases: tuple[str, ...] = ()
    """Other addresses of the same person on that channel: a stop holds for each, and a start."""
    how: Literal["said", "preference", "blocked"] = "said"
    """In words; by the vendor's own switch for marketing; by blocking this account. The latter two say `stop` or `start`."""
    answered: bool = False
    """It is not for this account to answer: the vendor does so itself, or nobody can."""

    def __repr__(self) -> str:
        return f"Inbound({self.channel})"


class Capabilities(Struct, frozen=True):
    """What the engine may rely on, as data."""

    channels: tuple[str, ...]
    transport: str = "http"
    """Which egress carries its requests: `http`, `smtp`, `console`, `inbox` or `apprise`."""
    receipts: bool = False
    """It reports back: doubt is worth waiting for."""
    echoes: bool = False
    """Every receipt carries our attempt's id, so that none has to be found by the vendor's reference."""
    lookups: bool = False
    """It can be asked what became of a message that it took: it has `lookup` and `found`."""
    idempotency_s: float = 0
    """How long a repeated call with the same key is recognised by the vendor, in seconds; 0: never."""
    media: bool = False
    body_max: int | None = None
    """How long that may be which it counts of a message (`Provider.counted`). A longer one is refused, or shortened, before it is
    sent."""
    unit: Literal["characters", "bytes"] = "characters"
    """In which that is counted. Bytes are of UTF-8."""
    segments_max: int | None = None
    """In how many parts an SMS may travel."""
    guarded: bool = False
    """Its requests go to addresses that users gave: each is checked, and none of a private or special network is reached but
    those in the setting `allow_private`."""
    entropy: bool = False
    """Its requests hold random numbers: it is given `Outgoing.entropy`."""
    batch_max: int = 1
    """Most messages that one call carries; with more than one it has `together`, `build_all` and `parse_all`."""
    tokens: bool = False
    """It calls with an access token that is fetched beforehand: it has `token_request` and `token_of`. Look-ups carry none."""
    expires: bool = False
    """Its vendor can be asked how long its credential lives: it has `life_request` and `life_of`."""
    fetches: bool = False
    """Its callbacks take calls of ours: it has `wants` or `follows`."""
    fetches_unguarded: bool = False
    """These calls go where its operator said, not where a callback did: no address is checked."""
    idle_s: float = 15
    """How long a kept-alive connection may rest: less than the vendor's own limit."""


class Token(Struct, frozen=True):
    """An access token, and until when it is good, in Unix seconds."""

    value: Secret
    expires_at: float


class Life(Struct, frozen=True):
    """How long a credential lives that a person must renew: until when, in Unix seconds, or without an end."""

    ends_at: float | None


class CommonSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that every HTTP kind has beside its own."""

    kind: str
    base_url: str | None = None
    """Replaces scheme, host and port, and may add a path in front."""
    rate: str | None = None
    """Calls per time: `100/s`, `/min`, `/h`, `/day`. Unset: no limit."""
    concurrency: int = 200
    """Most calls in flight."""
    timeout_s: float = 10
    """Total time of one call, in seconds, connect to last byte."""
    cost: dict[str, str] = {}
    """Price of a unit by country, `default` for the others, as decimal strings."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:  # noqa: ARG003 -- for kinds that have some
        """What a kind finds wrong with values of the right types: (key, what), never with a value in it.

        `given` holds what was set, decoded, by the names that people write; None where the type was wrong."""
        return ()


_Told = TypeVar("_Told", bound=Struct)


class Provider(ABC):
    """One configured account. Subclasses are pure: what they know is their settings."""

    kind: ClassVar[str]
    settings_type: ClassVar[type[CommonSettings]]
    credential: ClassVar[str] = ""
    """The setting that a person must renew in time, where there is one."""

    def __init__(self, name: str, settings: Any) -> None:
        self.name = name
        self.settings = settings
        self._secrets = _secrets_of(settings)
        self._secret_texts = tuple(secret.decode() for secret in self._secrets)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities: ...

    @abstractmethod
    def build(self, out: Outgoing) -> Request:
        """The request that sends this message. Raises `ValueError` where it can't be said in the vendor's words, `TooLong` where
        that is for its length."""

    def counted(self, out: Outgoing) -> str:
        """What the vendor counts of this message, as it is written to it; the limit of the capabilities is for this. Empty where
        it holds no text that counts. Knows neither address nor token, which a preview has not."""
        return out.body or out.title or ""

    def limited(self, text: str) -> str:
        """A text that is counted, which is not longer than the limit. Raises `TooLong`. For adapters, in `build`."""
        can = self.capabilities
        if can.body_max is not None and length_of(text, can.unit) > can.body_max:
            raise TooLong(f"the text is longer than {can.body_max} {can.unit}")
        return text

    @abstractmethod
    def parse(self, reply: Reply) -> Outcome:
        """What a complete answer means. Never raises, whatever the bytes."""

    def parse_mail(self, reply: MailReply) -> Outcome:
        """What a mail server's word means, for kinds whose transport is `smtp`. Never raises, whatever it holds."""
        return Unsure("no mail server was asked")

    def flow(self, out: Outgoing) -> Flow:
        """One call, unless a kind needs more: yields requests, is sent answers, returns the outcome."""
        answer = yield self.build(out)
        return self.read(answer)

    def read(self, answer: Answer) -> Outcome:
        """The class of an answer: lost is unsure, not sent is later, a reply is for `parse`."""
        match answer:
            case Reply():
                return self._unquoting(self.parse(self._unquoted(answer)))
            case MailReply():
                return self._unquoting(self.parse_mail(answer))
            case NotSent(phase, detail):
                return Later(detail=f"{phase}: {detail}", ill=phase not in OURS, called=False)
            case Lost(phase, detail):
                return Unsure(detail=f"{phase}: {detail}")
            case Part(outcome):
                return self._unquoting(outcome)

    def together(self, out: Outgoing) -> str | None:
        """Messages of equal words here may share a call; None: this one goes alone. For kinds with `batch_max` above 1. Raises as
        `build` does, for what can't be said."""
        self.build(out)
        return ""

    def build_all(self, outs: Sequence[Outgoing]) -> Request:
        """The one request that sends all of these, whose `together` is equal; at most `batch_max`."""
        raise ValueError("this kind sends one message with each call")

    def parse_all(self, reply: Reply, outs: Sequence[Outgoing]) -> Sequence[Outcome] | None:
        """What a complete answer says of each, in their order. None: the call was refused for what some of them hold, and nothing
        of it was taken; each goes again, alone. Never raises, whatever the bytes."""
        return [self.parse(reply)] * len(outs)

    def passage(self, out: Outgoing, together: str) -> Flow:
        """The flow of a message that shares a call with its likes."""
        answer = yield Passenger(out, together)
        return self.read(answer)

    def read_all(self, reply: Reply, outs: Sequence[Outgoing]) -> Sequence[Outcome] | None:
        """`parse_all`, fit to be kept; of another count than there are messages it is unsure what became of any."""
        found = self.parse_all(self._unquoted(reply), outs)
        if found is not None and len(found) != len(outs):
            return [Unsure("an answer for another number of messages")] * len(outs)
        return found

    def receipts(self, hook: Hook) -> Sequence[Receipt]:
        """What it reports of our attempts alone."""
        return [report for report in self.reports(hook) if isinstance(report, Receipt)]

    def reports(self, hook: Hook) -> Sequence[Receipt | Inbound]:
        """What a verified callback reports, fit to be kept."""
        return [self._unquoting(event) for event in self.events(hook)]

    def words(self, text: object) -> str:
        """A vendor's own words, fit to be kept: as `redaction.vendor_words`, and without this account's secrets, which are
        masked before the text is cut. For adapters."""
        return vendor_words(self._without_secrets(text)) if isinstance(text, str) else ""

    def _without_secrets(self, text: str) -> str:
        for secret in self._secret_texts:
            text = text.replace(secret, "***")
        return text

    def _unquoting(self, told: _Told) -> _Told:
        """What was masked as bytes may have come in another writing: JSON and forms have several for every letter."""
        for name in ("ref", "detail", "left_out", "text", "payload"):
            text = getattr(told, name, None)
            if text and (clean := self._without_secrets(text)) != text:
                told = structs.replace(told, **{name: clean})
        return told

    def _unquoted(self, reply: Reply) -> Reply:
        """Vendors quote what they were sent: our own secrets must not come back among the words that are kept."""
        body = reply.body
        for secret in self._secrets:
            if secret in body:
                body = body.replace(secret, b"***")
        return reply if body is reply.body else structs.replace(reply, body=body)

    def lookup(self, ref: str) -> Request:
        """The request that asks what became of the message of that reference, changing nothing. For kinds with `lookups`.
        Raises `ValueError` for a reference that can't be one of the vendor's."""
        raise ValueError("this kind can't be asked")

    def found(self, reply: Reply) -> Receipt | None:
        """What the answer to `lookup` reports; None where it says nothing new. Never raises, whatever the bytes."""
        return None

    def told(self, reply: Reply) -> Receipt | None:
        """What a look-up found, fit to be kept."""
        receipt = self.found(self._unquoted(reply))
        return None if receipt is None else self._unquoting(receipt)

    def token_request(self, now: float) -> Request:
        """The request that fetches an access token at `now` (Unix seconds). For kinds with `tokens`. Raises `ValueError` where the
        settings can't be made into one."""
        raise ValueError("this kind has no tokens")

    def token_of(self, answer: Answer, now: float) -> Token | Outcome:
        """What came of it: the token, or what its want comes to (`Later`, `Misconfigured`). Never raises, whatever the bytes."""
        return Later("this kind has no tokens", called=False)

    def token_refused(self, reply: Reply) -> bool:
        """Whether an answer that is `Misconfigured` is so for the access token: then it is dropped, and another one tried."""
        return reply.status == 401

    @property
    def lives_until(self) -> float | None:
        """When its credential ends, in Unix seconds, where a setting says so; then the vendor is not asked."""
        return None

    def life_request(self) -> Request:
        """The request that asks how long its credential lives, changing nothing. For kinds with `expires`."""
        raise ValueError("this kind can't be asked")

    def life_of(self, reply: Reply) -> Life | None:
        """What the answer says; None where that is nothing. Never raises, whatever the bytes."""
        return None

    def verify(self, hook: Hook) -> Verdict:
        """Whether the callback is the vendor's. A kind without callbacks refuses all."""
        return Verdict.BAD

    def wants(self, hook: Hook) -> Request | None:
        """What must be fetched before the callback can be judged, such as the certificate that it is signed with: `verify` finds
        what came of it in `hook.fetched`. None where nothing must, or it is bad in any case. What was fetched well is kept for a
        day. Its address is the callback's word, so this kind must check it; private networks are shut all the same. For kinds with
        `fetches`. Never raises."""
        return None

    def follows(self, hook: Hook) -> Request | None:
        """The call that a verified callback asks for, such as one that confirms a subscription; None for all others. The callback
        is answered well when that call is. For kinds with `fetches`. Never raises."""
        return None

    def handshake(self, hook: Hook) -> str | None:
        """The text that answers a vendor's GET which asks whether its callbacks are expected; None where it is no such question.
        Never raises."""
        return None

    def response(self, hook: Hook) -> str | None:
        """The text that a verified callback must be answered with; None for all that need none. Never raises."""
        return None

    def events(self, hook: Hook) -> Sequence[Receipt | Inbound]:
        """What a verified callback reports, of our attempts or of what people say back. Never raises, whatever the bytes."""
        return ()


def _secrets_of(settings: object) -> tuple[bytes, ...]:
    """The secrets of an account, but for those too short to be any: masking them would tear words apart."""
    values = (getattr(settings, name) for name in getattr(settings, "__struct_fields__", ()))
    return tuple(value.reveal().encode() for value in values if isinstance(value, Secret) and len(value) >= SECRET_MIN)


Settings = Mapping[str, Any]
