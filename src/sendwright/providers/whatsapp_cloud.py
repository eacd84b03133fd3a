"""WhatsApp by Meta's Cloud API: texts, templates and media, one call per message, statuses by webhook.

Read in November 2026:
  the call      https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages,
                and image-messages, document-messages beside it
  its codes     https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
  statuses      https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
  replies       https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages and
                user_preferences beside it

What shapes this file:
  * Free text and media are taken within 24 hours of what the person last wrote to that number; beyond, a template alone is.
    Meta keeps that window, and says 131047 where it is closed.
  * There is no idempotency key. `biz_opaque_callback_data` carries the attempt's id, and sent, delivered and read echo it, so a
    status settles a lost answer. Meta's words leave open whether `failed` does: the reference stands beside it.
  * Errors come as the answer, by webhook, or both. Meta asks to go by `code` and the details, never by the title.
  * A person is known by `wa_id`, a number without its plus, which is not in every country the one that is dialled.
  * Who switches marketing off by WhatsApp's own means is told of beside what people write, if that field is subscribed to.
  * `read` may come without `delivered`, and `played` is said of a voice message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from sendwright.model.content import WhatsappContent, WhatsappTemplate
from sendwright.providers.answers import json_object
from sendwright.providers.chat import Sort, content_type, sort_of, spelled
from sendwright.providers.contract import (
    Accepted,
    AttemptState,
    Capabilities,
    Hook,
    HttpRequest,
    Inbound,
    Media,
    Outcome,
    Outgoing,
    Reason,
    Receipt,
    Reply,
    Scope,
    Unsure,
)
from sendwright.providers.meta import (
    Codes,
    Graph,
    MetaSettings,
    entries,
    error_words,
    id_fault,
    member,
    number,
    rows,
    seconds,
)
from sendwright.providers.redaction import vendor_id

BODY_MAX = 4096
CAPTION_MAX = 1024
FILENAME_MAX = 240

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SHOWN = frozenset(
    {
        *("image/jpeg", "image/png", "video/mp4", "video/3gpp"),
        *("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"),
    }
)
"""What WhatsApp shows or plays; other pictures, videos and sounds go as documents."""

_STATES = {
    "sent": AttemptState.SENT,
    "delivered": AttemptState.DELIVERED,
    "read": AttemptState.READ,
    "played": AttemptState.READ,
    "failed": AttemptState.FAILED,
}

_NO_REPLIES = frozenset({"reaction", "system", "revoke", "request_welcome"})
_SWITCHED: dict[str, Literal["stop", "start"]] = {"stop": "stop", "resume": "start", "signup": "start"}
_TWINS = tuple(
    (re.compile(pattern, re.ASCII), other)
    for pattern, other in (
        (r"\+521([0-9]{10})", r"+52\1"),
        (r"\+52([0-9]{10})", r"+521\1"),
        (r"\+549([0-9]{10})", r"+54\1"),
        (r"\+54([0-9]{10})", r"+549\1"),
        (r"\+55([0-9]{2})9([0-9]{8})", r"+55\1\2"),
        (r"\+55([0-9]{2})([0-9]{8})", r"+55\g<1>9\2"),
    )
)
"""How the number of one telephone is written otherwise (seen by others, such as https://waha.devlike.pro/docs/apps/)."""

_CONTENT = (Reason.CONTENT, Scope.RECIPIENT)
_ELSEWHERE = (Reason.CONTENT, Scope.SENDER)
"""The template is not there, or not now, in this account: another one may have it."""

CODES = Codes(
    refused={
        100: _CONTENT,  # a parameter
        130472: (Reason.REJECTED, Scope.RECIPIENT),  # the person is in an experiment of Meta's and is sent none of these
        130497: (Reason.REJECTED, Scope.SENDER),  # not from this account into that country
        131008: _CONTENT,  # a parameter is missing
        131009: _CONTENT,  # a parameter's value
        131021: (Reason.INVALID_ADDRESS, Scope.SENDER),  # to itself
        131026: (Reason.UNREACHABLE, Scope.RECIPIENT),  # not on WhatsApp, or an old app
        131030: (Reason.REJECTED, Scope.SENDER),  # a test number writes to listed numbers only
        131047: (Reason.WINDOW_CLOSED, Scope.SENDER),  # the window is this number's; another one may have its own
        131049: (Reason.LIMIT, Scope.RECIPIENT),  # enough marketing for this person, whoever sends it
        131050: (Reason.OPTED_OUT, Scope.RECIPIENT),  # the person stopped the business's marketing
        131051: _CONTENT,  # a kind of message that there is not
        131052: _CONTENT,  # media
        131053: _CONTENT,  # media
        132000: _CONTENT,  # the number of the template's variables
        132001: _ELSEWHERE,  # no such template in that language
        132005: (Reason.TOO_LONG, Scope.RECIPIENT),  # with its variables
        132007: _CONTENT,  # against the policy
        132008: _CONTENT,  # a variable
        132012: _CONTENT,  # a variable's form
        132015: _ELSEWHERE,  # paused
        132016: _ELSEWHERE,  # disabled
        132068: _CONTENT,  # its flow is blocked
        135000: _CONTENT,  # the parameters, in a way that Meta does not name
    },
    crowded=frozenset({4, 80007, 130429, 131064, 132069}),
    pair=frozenset({131056}),
    ailing=frozenset({2, 131016}),
    puzzling=frozenset({1, 131000}),
    faults=frozenset({33, 368, 131005, 131031, 131042, 131048, 133010}),
)
"""131048 is a restriction of this number because people blocked or reported it: it ends when Meta lifts it, and going on makes it
worse, so the account is left alone and says why. 368, 131031 and 131042 are an account that is blocked, locked or has not paid."""


class WhatsappCloudSettings(MetaSettings, frozen=True, kw_only=True):
    """A business telephone number, and the token that may write from it."""

    phone_number_id: str
    business_account_id: str | None = None
    """The WhatsApp Business Account that the number belongs to. Nothing is asked of it."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = [*id_fault(given, "phone_number_id"), *id_fault(given, "business_account_id")]
        return [*faults, *super().contradictions(given)]


class WhatsappCloud(Graph):
    """One business telephone number."""

    kind = "whatsapp_cloud"
    settings_type = WhatsappCloudSettings
    codes = CODES
    settings: WhatsappCloudSettings

    @property
    def account(self) -> str:
        return self.settings.phone_number_id

    @property
    def capabilities(self) -> Capabilities:
        told = self.settings.app_secret is not None
        return Capabilities(channels=("whatsapp",), receipts=told, media=True, body_max=BODY_MAX, expires=True)

    def build(self, out: Outgoing) -> HttpRequest:
        """One message. Raises `ValueError` for a recipient or a content that WhatsApp has no form for."""
        if out.channel != "whatsapp":
            raise ValueError("this is an account for WhatsApp")
        if _E164.fullmatch(out.address) is None:
            raise ValueError("the recipient is not a number in E.164")
        head = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": out.address}
        return self.post({**head, **self._said(out), "biz_opaque_callback_data": out.attempt})

    def counted(self, out: Outgoing) -> str:
        """The text, or a file's caption; nothing of a template."""
        if _template_of(out) is not None or _captioned(out):
            return ""
        return spelled(out.body or out.title or "", out.media, out.actions)

    def _said(self, out: Outgoing) -> dict[str, object]:
        """The typed part: a template, a file with its caption, or a text."""
        template = _template_of(out)
        if template is not None:
            own = out.own if isinstance(out.own, WhatsappContent) else None
            return {"type": "template", "template": _template(template, out.media if own and own.media else ())}
        if (media := _captioned(out)) is not None:
            return media
        body = self.limited(self.counted(out))
        if not body:
            raise ValueError("neither a text, nor media, nor a template")
        return {"type": "text", "text": {"body": body, "preview_url": "://" in body}}

    def parse(self, reply: Reply) -> Outcome:
        """An id is acceptance, also where Meta holds the message back to look at its template first."""
        if not 200 <= reply.status < 300:
            return self.refused(reply)
        message = next(rows(json_object(reply.body).get("messages")), {})
        ref = vendor_id(message.get("id"))
        return Accepted(ref) if ref else Unsure("a success without an id")

    def events(self, hook: Hook) -> Sequence[Receipt | Inbound]:
        """A receipt per status, and what people write or switch; none for everything else that Meta tells."""
        return tuple(found for value in _values(hook.body) for found in self._told(value) if found is not None)

    def _told(self, value: Mapping[str, Any]) -> Iterator[Receipt | Inbound | None]:
        """What one change tells. A message to another number of the app is not for this one to answer."""
        other = member(value, "metadata").get("phone_number_id") not in (None, self.account)
        yield from (self._receipt(status) for status in rows(value.get("statuses")))
        yield from (_reply(message, answered=other) for message in rows(value.get("messages")))
        yield from (_preference(switched) for switched in rows(value.get("user_preferences")))

    def _receipt(self, status: Mapping[str, Any]) -> Receipt | None:
        word = status.get("status")
        state = _STATES.get(word) if isinstance(word, str) else None
        attempt, ref = vendor_id(status.get("biz_opaque_callback_data")), vendor_id(status.get("id"))
        if state is None or not (attempt or ref):
            return None
        error: dict[str, Any] = next(rows(status.get("errors")), {}) if state is AttemptState.FAILED else {}
        code = number(error.get("code"))
        detail = " ".join(str(part) for part in (word, code, self.words(error_words(error))) if part)
        reason = self.reason(code) if state is AttemptState.FAILED else None
        return Receipt(state, attempt, ref, reason, detail, seconds(status.get("timestamp")))


def _values(body: bytes) -> Iterator[dict[str, Any]]:
    for entry in entries(body, "whatsapp_business_account"):
        for change in rows(entry.get("changes")):
            if change.get("field") in ("messages", "user_preferences"):
                yield member(change, "value")


def _reply(message: Mapping[str, Any], *, answered: bool) -> Inbound | None:
    """What a person wrote or pressed; None for reactions, system messages and what was said in a group."""
    kind, person = message.get("type"), _number(message.get("from"))
    if person is None or not isinstance(kind, str) or kind in _NO_REPLIES or message.get("group_id"):
        return None
    text, payload = _words(message, kind)
    ref, at = vendor_id(message.get("id")), seconds(message.get("timestamp"))
    return Inbound("whatsapp", person, text, ref, at, payload=payload, aliases=_also_written(person), answered=answered)


def _words(message: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """The text, or the button's label or the file's caption; and what stood behind the button."""
    said = member(message, kind)
    match kind:
        case "interactive":
            pressed = member(said, str(said.get("type")))
            text, payload = pressed.get("title"), pressed.get("id")
        case "button":
            text, payload = said.get("text"), said.get("payload")
        case "edit":
            changed = member(said, "message")
            return _words(changed, str(changed.get("type"))) if changed.get("type") != "edit" else ("", "")
        case _:
            text, payload = said.get("body") or said.get("caption"), None
    return text if isinstance(text, str) else "", payload if isinstance(payload, str) else ""


def _preference(switched: Mapping[str, Any]) -> Inbound | None:
    """A person switched a business's marketing off, or on again."""
    person, value = _number(switched.get("wa_id")), switched.get("value")
    word = _SWITCHED.get(value) if isinstance(value, str) else None
    if person is None or word is None or switched.get("category") != "marketing_messages":
        return None
    at, detail = number(switched.get("timestamp")), switched.get("detail")
    text = detail if isinstance(detail, str) and detail else str(value)
    return Inbound(
        "whatsapp",
        person,
        text,
        None,
        at if at is not None and 0 <= at < 1 << 40 else None,
        word,
        aliases=_also_written(person),
        how="preference",
    )


def _number(value: object) -> str | None:
    """A person's number, which WhatsApp writes without the plus."""
    number = f"+{value.removeprefix('+')}" if isinstance(value, str) else ""
    return number if _E164.fullmatch(number) else None


def _also_written(person: str) -> tuple[str, ...]:
    """How else the number is written that WhatsApp knows the person by. In Mexico, Argentina and Brazil many accounts have a
    digit more, or less, than the number that one dials."""
    return tuple(found.expand(other) for pattern, other in _TWINS if (found := pattern.fullmatch(person)))


def _template_of(out: Outgoing) -> WhatsappTemplate | None:
    return out.own.template if isinstance(out.own, WhatsappContent) else None


def _captioned(out: Outgoing) -> dict[str, object] | None:
    """The one file under its caption, where it can be said so."""
    if len(out.media) != 1:
        return None
    return _media(out.media[0], spelled(out.body or out.title or "", actions=out.actions))


def _media(item: Media, caption: str) -> dict[str, object] | None:
    """A file under its caption; None where that is too long for one, or the file can have none."""
    sort = sort_of(item)
    if content_type(item) not in _SHOWN:
        sort = Sort.DOCUMENT
    if len(caption) > CAPTION_MAX or (caption and sort is Sort.AUDIO):
        return None
    fields = {"link": item.url}
    if caption:
        fields["caption"] = caption
    if sort is Sort.DOCUMENT and item.filename:
        fields["filename"] = item.filename[:FILENAME_MAX]
    return {"type": sort.value, sort.value: fields}


def _template(template: WhatsappTemplate, media: Sequence[Media]) -> dict[str, object]:
    """The template with its body's variables, and with a file in its header where the content names one for WhatsApp itself."""
    components: list[dict[str, object]] = []
    if media:
        components.append({"type": "header", "parameters": [_header(media)]})
    if isinstance(template.params, dict):
        named = [{"type": "text", "parameter_name": name, "text": value} for name, value in template.params.items()]
    else:
        named = [{"type": "text", "text": value} for value in template.params]
    if named:
        components.append({"type": "body", "parameters": named})
    said: dict[str, object] = {"name": template.name, "language": {"policy": "deterministic", "code": template.language}}
    return said | {"components": components} if components else said


def _header(media: Sequence[Media]) -> dict[str, object]:
    sort = sort_of(media[0])
    if len(media) > 1 or sort is Sort.AUDIO:
        raise ValueError("a template's header takes one picture, video or document")
    fields = {"link": media[0].url}
    if sort is Sort.DOCUMENT and media[0].filename:
        fields["filename"] = media[0].filename[:FILENAME_MAX]
    return {"type": sort.value, sort.value: fields}
