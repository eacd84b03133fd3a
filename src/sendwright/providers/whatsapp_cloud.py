"""WhatsApp by Meta's Cloud API: texts, templates and media, one call per message, statuses by webhook.

Read in November 2026:
  the call      https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages,
                and image-messages, document-messages beside it
  its codes     https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
  statuses      https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status

What shapes this file:
  * Free text and media are taken within 24 hours of what the person last wrote to that number; beyond, a template alone is.
    Meta keeps that window, and says 131047 where it is closed.
  * There is no idempotency key. `biz_opaque_callback_data` carries the attempt's id, and sent, delivered and read echo it, so a
    status settles a lost answer. Meta's words leave open whether `failed` does: the reference stands beside it.
  * Errors come as the answer, by webhook, or both. Meta asks to go by `code` and the details, never by the title.
  * `read` may come without `delivered`, and `played` is said of a voice message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sendwright.model.content import WhatsappContent, WhatsappTemplate
from sendwright.providers.answers import json_object
from sendwright.providers.chat import Sort, content_type, sort_of, spelled
from sendwright.providers.contract import (
    Accepted,
    AttemptState,
    Capabilities,
    Hook,
    HttpRequest,
    Media,
    Outcome,
    Outgoing,
    Reason,
    Receipt,
    Reply,
    Scope,
    TooLong,
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
        return Capabilities(channels=("whatsapp",), receipts=told, media=True, body_max=BODY_MAX)

    def build(self, out: Outgoing) -> HttpRequest:
        """One message. Raises `ValueError` for a recipient or a content that WhatsApp has no form for."""
        if out.channel != "whatsapp":
            raise ValueError("this is an account for WhatsApp")
        if _E164.fullmatch(out.address) is None:
            raise ValueError("the recipient is not a number in E.164")
        head = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": out.address}
        return self.post({**head, **_said(out), "biz_opaque_callback_data": out.attempt})

    def parse(self, reply: Reply) -> Outcome:
        """An id is acceptance, also where Meta holds the message back to look at its template first."""
        if not 200 <= reply.status < 300:
            return self.refused(reply)
        message = next(rows(json_object(reply.body).get("messages")), {})
        ref = vendor_id(message.get("id"))
        return Accepted(ref) if ref else Unsure("a success without an id")

    def events(self, hook: Hook) -> Sequence[Receipt]:
        """A receipt per status; none for what people write, and for everything else that Meta tells."""
        return tuple(receipt for status in _statuses(hook.body) if (receipt := self._receipt(status)))

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


def _statuses(body: bytes) -> Iterator[dict[str, Any]]:
    for entry in entries(body, "whatsapp_business_account"):
        for change in rows(entry.get("changes")):
            if change.get("field") == "messages":
                yield from rows(member(change, "value").get("statuses"))


def _said(out: Outgoing) -> dict[str, object]:
    """The typed part: a template, a file with its caption, or a text."""
    own = out.own if isinstance(out.own, WhatsappContent) else None
    if own is not None and own.template is not None:
        return {"type": "template", "template": _template(own.template, out.media if own.media else ())}
    text = out.body or out.title or ""
    caption = spelled(text, actions=out.actions)
    if len(out.media) == 1 and (media := _media(out.media[0], caption)):
        return media
    body = spelled(text, out.media, out.actions)
    if not body:
        raise ValueError("neither a text, nor media, nor a template")
    if len(body) > BODY_MAX:
        raise TooLong(f"the text is longer than {BODY_MAX} characters")
    return {"type": "text", "text": {"body": body, "preview_url": "://" in body}}


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
