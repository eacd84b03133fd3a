"""What the kinds of Meta's Graph API have in common: the call, its errors, the handshake and the signature of callbacks.

Belongs here: what WhatsApp, Messenger and Instagram say in the same way, and the Send API of the latter two. Does not: their codes
and their states. Pure.

Read in November 2026:
  errors       https://developers.facebook.com/docs/graph-api/guides/error-handling
  callbacks    https://developers.facebook.com/docs/graph-api/webhooks/getting-started
  tokens       https://developers.facebook.com/docs/graph-api/reference/debug_token
  sending      https://developers.facebook.com/docs/messenger-platform/reference/send-api

What shapes this file:
  * An error's meaning is its `code`, for some with an `error_subcode`; the HTTP status is coarse (most are 400), and titles
    change. A 500 is unsure whatever code stands in it; a code that is not in a kind's tables falls back on the status.
  * Callbacks are signed over the raw body alone, with no time: an old one verifies for ever. States only rise, so repeating one
    changes nothing.
  * A token is asked about by itself; what may not do so has its end named by a setting. The tokens of graph.instagram.com can't be
    asked about there.
  * What people write comes in the same callbacks, many at a time, and so does every message of our own as an echo.
  * Callbacks come out of order and more than once, and several in one body, which may have a megabyte.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec

from sendwright.providers.answers import by_status, json_object, later
from sendwright.providers.chat import spelled
from sendwright.providers.contract import (
    Accepted,
    CommonSettings,
    Hook,
    HttpRequest,
    Inbound,
    Later,
    Life,
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
    Verdict,
)
from sendwright.providers.expiry import end_faults, end_of
from sendwright.providers.redaction import vendor_id
from sendwright.providers.signing import hex_signature, same

GRAPH_VERSION = "v25.0"
"""The one that Meta's own examples call (docs/messenger-platform/reference/send-api, and WhatsApp's image-messages)."""

STANDBY = "standby"
"""What an event is marked with that comes from a conversation which another app leads."""

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}", re.ASCII)
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{3,32}", re.ASCII)
_PERSON = re.compile(r"[0-9]{3,32}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_UNKNOWN_OBJECT = (100, 33)
"""The object in the path does not exist, or this token may not see it: the account's own id, or a recipient's."""


class Codes(msgspec.Struct, frozen=True):
    """What a kind's error codes mean. A key is a code, or a code with its subcode, which goes first."""

    refused: Mapping[int | tuple[int, int], tuple[Reason, Scope]]
    """Permanent, for this message."""
    crowded: frozenset[int | tuple[int, int]] = frozenset()
    """Not taken, for there were too many."""
    pair: frozenset[int | tuple[int, int]] = frozenset()
    """Too many to this one person."""
    ailing: frozenset[int | tuple[int, int]] = frozenset()
    """Meta says that it is ill, and that one should come again."""
    puzzling: frozenset[int | tuple[int, int]] = frozenset()
    """Meta does not know itself what happened."""
    faults: frozenset[int | tuple[int, int]] = frozenset()
    """The account, beside those that every kind has."""


_COMMON_FAULTS = frozenset({0, 3, 10, 102, 190, *range(200, 300)})
"""The token, or what it may not do."""


class MetaSettings(CommonSettings, frozen=True, kw_only=True):
    """What the accounts of every Meta kind have."""

    access_token: Secret
    app_secret: Secret | None = None
    """Verifies callbacks; without it there are no receipts."""
    access_token_expires: str | None = None
    """When a person must have renewed the token at the latest; unset, Meta is asked where it can be."""
    verify_token: Secret | None = None
    """Any text; Meta says it when it asks whether callbacks are expected."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = []
        if ("app_secret" in given) != ("verify_token" in given):
            faults.append(("app_secret", "`app_secret` and `verify_token` go together: callbacks need both"))
        faults += [(key, "must not be empty") for key, value in given.items() if value == ""]
        return [*faults, *end_faults(given, "access_token_expires")]


def id_fault(given: Mapping[str, Any], key: str) -> list[tuple[str, str]]:
    """The fault of a setting that must be one of Meta's ids, where there is one."""
    value = given.get(key)
    return [(key, "must be digits")] if value and _ACCOUNT.fullmatch(value) is None else []


class Graph(Provider):
    """An account that sends by `POST /<version>/<account>/messages`."""

    credential = "access_token"
    host: ClassVar[str] = "https://graph.facebook.com"
    codes: ClassVar[Codes]
    settings: MetaSettings

    @property
    @abstractmethod
    def account(self) -> str:
        """The id that sends: it stands in the path of every call."""

    def post(self, document: Mapping[str, object]) -> HttpRequest:
        return HttpRequest("POST", self._url, self._headers, msgspec.json.encode(document))

    @property
    def lives_until(self) -> float | None:
        named = self.settings.access_token_expires
        return None if named is None else end_of(named)

    def life_request(self) -> HttpRequest:
        """What Meta knows of the token, asked by the token itself."""
        asked = urlencode({"input_token": self.settings.access_token.reveal()})
        return HttpRequest("GET", f"{self._base}/debug_token?{asked}", self._headers[1:])

    def life_of(self, reply: Reply) -> Life | None:
        """The earlier of its end and that of the access to data, of which either may be 0, for never. An answer that refuses the
        question, or a token that is void without an end, says nothing here: calls find that out."""
        said = member(json_object(reply.body), "data") if reply.status == 200 else {}
        ends = [number(said.get(name)) for name in ("expires_at", "data_access_expires_at")]
        named = [end for end in ends if end is not None and 0 < end < 1 << 40]
        if not named and (ends[0] != 0 or said.get("is_valid") is not True):
            return None
        return Life(min(named) if named else None)

    @cached_property
    def _base(self) -> str:
        return f"{(self.settings.base_url or self.host).rstrip('/')}/{GRAPH_VERSION}"

    @cached_property
    def _url(self) -> str:
        return f"{self._base}/{self.account}/messages"

    @cached_property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        return (
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Authorization", f"Bearer {self.settings.access_token.reveal()}"),
        )

    def refused(self, reply: Reply) -> Outcome:
        """What an answer means that is no success."""
        error = json_object(reply.body).get("error")
        error = error if isinstance(error, dict) else {}
        code, subcode = number(error.get("code")), number(error.get("error_subcode"))
        words = self.words(error_words(error))
        detail = f"{code}: {words}" if code is not None else words
        known = self._by_code(reply, code, subcode, error, detail) if code is not None and 400 <= reply.status < 500 else None
        if reply.status == 429:
            return known if isinstance(known, Later) else by_status(reply, detail)
        if known is None and reply.status == 404:
            return Misconfigured(f"HTTP 404: {detail}")
        return known or by_status(reply, detail)

    def _by_code(self, reply: Reply, code: int, subcode: int | None, error: Mapping[str, Any], detail: str) -> Outcome | None:
        """What the code says; None for one that is not in the tables."""
        codes, names = self.codes, names_of(code, subcode)
        if (code, subcode) == _UNKNOWN_OBJECT and self.account in str(error.get("message")):
            return Misconfigured(detail)
        for name in names:
            if name in codes.refused:
                reason, scope = codes.refused[name]
                return Rejected(reason, detail, scope)
            if name in codes.pair:
                return later(reply, detail, scope=Scope.SENDER)
            if name in codes.crowded:
                return later(reply, detail)
            if name in codes.ailing:
                return later(reply, detail, ill=True)
            if name in codes.puzzling:
                return Unsure(detail)
            if name in codes.faults or name in _COMMON_FAULTS:
                return Misconfigured(detail)
        return None

    def reason(self, code: int | None) -> Reason:
        """Why a message failed that Meta had taken."""
        if code is None:
            return Reason.UNKNOWN
        if code in self.codes.refused:
            return self.codes.refused[code][0]
        if code in self.codes.faults or code in _COMMON_FAULTS:
            return Reason.MISCONFIGURED
        return Reason.LIMIT if code in self.codes.crowded or code in self.codes.pair else Reason.UNKNOWN

    def verify(self, hook: Hook) -> Verdict:
        """`X-Hub-Signature-256`: HMAC-SHA256 by the app's secret over the raw body, in hexadecimal."""
        secret, given = self.settings.app_secret, hook.header("x-hub-signature-256")
        if secret is None or given is None or not _SIGNATURE.fullmatch(given):
            return Verdict.BAD  # a body that nobody has signed is not worth reading
        return Verdict.GOOD if same(f"sha256={hex_signature(secret.reveal(), hook.body)}", given) else Verdict.BAD

    def handshake(self, hook: Hook) -> str | None:
        """The challenge, to whoever knows the verify token."""
        token, given, challenge = self.settings.verify_token, hook.param("hub.verify_token"), hook.param("hub.challenge")
        if token is None or given is None or challenge is None or hook.param("hub.mode") != "subscribe":
            return None
        known = same(token.reveal(), given)
        return challenge if known and _CHALLENGE.fullmatch(challenge) else None


class SendApi(Graph):
    """Messenger and Instagram: one message to a person who wrote first, by the id that the account knows that person by."""

    channel: ClassVar[str]
    about: ClassVar[str]
    """The object of its callbacks."""

    def build(self, out: Outgoing) -> HttpRequest:
        """One message. Raises `ValueError` for a recipient or a content that the Send API has no form for."""
        if out.channel != self.channel:
            raise ValueError(f"this is an account for {self.channel}")
        if _PERSON.fullmatch(out.address) is None:
            raise ValueError("the recipient is not an id that Meta gave")
        return self.post({"recipient": {"id": out.address}, **self.kind_of(out), "message": self.message(out)})

    def kind_of(self, out: Outgoing) -> dict[str, object]:
        """Why it may be said: for what the caller vouched by a tag, which the Send API takes beyond its window."""
        tag = getattr(out.own, "tag", None)
        return {"messaging_type": "MESSAGE_TAG", "tag": tag} if tag is not None else {}

    @abstractmethod
    def attached_as(self, item: Media) -> str | None:
        """The Send API's name of such a file; None where it takes none."""

    def message(self, out: Outgoing) -> dict[str, object]:
        """A file alone is attached; beside a text, which the API takes in a message of its own only, it stands in the text."""
        if sort := self._alone(out):
            return {"attachment": {"type": sort, "payload": {"url": out.media[0].url, "is_reusable": False}}}
        text = self.limited(self.counted(out))
        if not text:
            raise ValueError("neither a text nor media")
        return {"text": text}

    def counted(self, out: Outgoing) -> str:
        return "" if self._alone(out) else spelled(out.body or out.title or "", out.media, out.actions)

    def _alone(self, out: Outgoing) -> str | None:
        """How the one file is attached, beside which nothing is said."""
        if len(out.media) != 1 or out.body or out.title or out.actions:
            return None
        return self.attached_as(out.media[0])

    def parse(self, reply: Reply) -> Outcome:
        if not 200 <= reply.status < 300:
            return self.refused(reply)
        ref = vendor_id(json_object(reply.body).get("message_id"))
        return Accepted(ref) if ref else Unsure("a success without an id")

    def happenings(self, hook: Hook) -> Iterator[dict[str, Any]]:
        """What a callback tells of conversations, those included that another app leads (`standby`)."""
        for entry in entries(hook.body, self.about):
            yield from rows(entry.get("messaging"))
            yield from (event | {STANDBY: True} for event in rows(entry.get("standby")))

    def reply(self, event: Mapping[str, Any]) -> Inbound | None:
        """What a person writes, or presses (a quick reply, a postback); None for echoes, reactions, readings and all else.

        A conversation that another app leads is not for us to answer: Meta would not let us."""
        person = vendor_id(member(event, "sender").get("id"))
        message, postback = member(event, "message"), member(event, "postback")
        said = message or postback
        ours = message.get("is_echo") is True or message.get("is_self") is True or person == self.account
        if not said or ours or message.get("is_deleted") is True or person is None or _PERSON.fullmatch(person) is None:
            return None
        ref, text = vendor_id(said.get("mid")), said.get("text") if message else postback.get("title")
        payload = member(message, "quick_reply").get("payload") if message else postback.get("payload")
        return Inbound(
            self.channel,
            person,
            text if isinstance(text, str) else "",
            ref,
            milliseconds(event.get("timestamp")),
            payload=payload if isinstance(payload, str) else "",
            answered=event.get(STANDBY) is True or not self.is_to(event),
        )

    def is_to(self, event: Mapping[str, Any]) -> bool:
        """Whether it was said to this account, where its callbacks name it as the settings do."""
        return True


def names_of(code: int, subcode: int | None) -> list[int | tuple[int, int]]:
    """How the tables may know it, the more exact first."""
    return [code] if subcode is None else [(code, subcode), code]


def error_words(error: Mapping[str, Any]) -> str:
    """Meta's own words: what it says in detail, else the message."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    for words in (details, error.get("message"), error.get("title")):
        if isinstance(words, str) and words:
            return words
    return ""


def number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def rows(value: object) -> Iterator[dict[str, Any]]:
    """The objects of a list; none where it is no list."""
    if isinstance(value, list):
        yield from (row for row in value if isinstance(row, dict))


def member(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object of that name; empty where there is none."""
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def entries(body: bytes, about: str) -> Iterator[dict[str, Any]]:
    """The entries of a callback about that object; none of any other."""
    said = json_object(body)
    if said.get("object") == about:
        yield from rows(said.get("entry"))


def seconds(value: object) -> float | None:
    """Unix seconds, as WhatsApp writes them."""
    return float(value) if isinstance(value, str) and _SECONDS.fullmatch(value) else None


def milliseconds(value: object) -> float | None:
    """Unix seconds, of the milliseconds that Messenger and Instagram write."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / 1000 if 0 <= value < 1e14 else None
