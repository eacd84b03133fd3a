"""The JSON Schema of the payload, made from its structs and the table of limits below; and every fault it finds.

`GET /v1/schema/notification.json` and the API's description show this very schema. What a schema can't say (is that a
possible number? is that time past?) is `admission.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import msgspec
from msgspec import Struct

from sendwright.model.content import OWN
from sendwright.policy.address import EMAIL_MAX, URL_MAX
from sendwright.policy.duration import DURATION_PATTERN
from sendwright.providers.contract import EVERY_CHANNEL

FAULTS_MAX = 1000
"""Most faults that one answer lists."""
RECIPIENTS_MAX = 1000
TITLE_MAX = 1000
TEXT_MAX = 1_000_000
"""Characters of a body or of HTML: no more than fits a request. What a channel can carry is its provider's to judge."""
SENDER_MAX = 100
MEDIA_MAX = 10
ACTIONS_MAX = 10
NAME_MAX = 255
"""Characters of ids, labels, file names and addresses that have no syntax of their own."""
TOKEN_MAX = 4096
CHANNELS_MAX = 20
COPIES_MAX = 50
"""Most addresses under `cc`, and under `bcc`."""
MAILBOX_MAX = 400
"""Characters of an address with a name."""
ATTACHMENTS_MAX = 20
HEADERS_MAX = 20
HEADER_MAX = 900
"""Characters of one header field: a line of a message has 998 at most (RFC 5322, section 2.1.1)."""
BLOCKS_MAX = 50
LOCALES_MAX = 100
METADATA_MAX = 50
METADATA_KEY_MAX = 100
METADATA_VALUE_MAX = 1000
KEY_MAX = 255

_NAME = {"minLength": 1, "maxLength": NAME_MAX}
_LINK = {"maxLength": URL_MAX, "format": "uri"}
_LINE = {"pattern": "^[^\\r\\n\\u0000]*$"}
_PHONE = {"pattern": "^\\+[0-9 ().-]{6,39}$"}

LIMITS: Mapping[str, Mapping[str, Any]] = {
    "Payload.to": {"minLength": 1, "maxLength": NAME_MAX, "minItems": 1, "maxItems": RECIPIENTS_MAX},
    "Payload.channels": {"minItems": 1, "maxItems": CHANNELS_MAX, "uniqueItems": True},
    "Payload.send_at": {"format": "date-time"},
    "Payload.expires_at": {"format": "date-time"},
    "Payload.ttl": {"pattern": DURATION_PATTERN},
    "Payload.type": {"minLength": 1, "maxLength": 120},
    "Payload.idempotency_key": {"minLength": 1, "maxLength": KEY_MAX},
    "Payload.metadata": {
        "maxProperties": METADATA_MAX,
        "propertyNames": {"minLength": 1, "maxLength": METADATA_KEY_MAX},
        "additionalProperties": {"type": "string", "maxLength": METADATA_VALUE_MAX},
    },
    "TypeBody.description": {"maxLength": METADATA_VALUE_MAX},
    "TypeBody.ttl": {"pattern": DURATION_PATTERN},
    "LayoutParts.html": {"maxLength": TEXT_MAX},
    "LayoutParts.text": {"maxLength": TEXT_MAX},
    "LayoutBody.html": {"maxLength": TEXT_MAX},
    "LayoutBody.text": {"maxLength": TEXT_MAX},
    "LayoutBody.description": {"maxLength": METADATA_VALUE_MAX},
    "LayoutBody.locales": {"maxProperties": LOCALES_MAX, "propertyNames": {"minLength": 2, "maxLength": METADATA_KEY_MAX}},
    "TypePlan.channels": {"minItems": 1, "maxItems": CHANNELS_MAX, "uniqueItems": True},
    "TypeContent.locales": {"maxProperties": LOCALES_MAX, "propertyNames": {"minLength": 2, "maxLength": METADATA_KEY_MAX}},
    "Recipient.id": _NAME,
    "Recipient.email": {"maxLength": EMAIL_MAX, "format": "idn-email"},
    "Recipient.phone": _PHONE,
    "Recipient.whatsapp": _PHONE,
    **{f"Recipient.{channel}": _NAME for channel in ("instagram", "messenger", "telegram", "line")},
    **{f"Recipient.{channel}": {"minLength": 1, "maxLength": URL_MAX} for channel in ("slack", "discord", "teams")},
    "Recipient.push": {"maxItems": RECIPIENTS_MAX},
    "Recipient.webpush": {"maxItems": RECIPIENTS_MAX},
    "Recipient.webhook": _LINK,
    "Recipient.locale": {"pattern": "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,6}$"},
    "Recipient.timezone": _NAME,
    "PushToken.token": {"minLength": 1, "maxLength": TOKEN_MAX},
    "Content.title": {"maxLength": TITLE_MAX, **_LINE},
    "Content.body": {"maxLength": TEXT_MAX},
    "Content.html": {"maxLength": TEXT_MAX},
    "Content.url": _LINK,
    "Content.media": {"maxItems": MEDIA_MAX},
    "Content.actions": {"maxItems": ACTIONS_MAX},
    "SmsContent.from": {"minLength": 1, "maxLength": SENDER_MAX, **_LINE},
    "SmsContent.body": {"maxLength": TEXT_MAX},
    "SmsContent.media": {"maxItems": MEDIA_MAX},
    "EmailContent.from": {"minLength": 1, "maxLength": MAILBOX_MAX, **_LINE},
    "EmailContent.reply_to": {"minLength": 1, "maxLength": MAILBOX_MAX, **_LINE},
    "EmailContent.cc": {"maxItems": COPIES_MAX},
    "EmailContent.bcc": {"maxItems": COPIES_MAX},
    "EmailContent.subject": {"maxLength": TITLE_MAX, **_LINE},
    "EmailContent.html": {"maxLength": TEXT_MAX},
    "EmailContent.text": {"maxLength": TEXT_MAX},
    "EmailContent.layout": {"minLength": 1, "maxLength": 120},
    "EmailContent.headers": {
        "maxProperties": HEADERS_MAX,
        "propertyNames": {"minLength": 1, "maxLength": 76},
        "additionalProperties": {"type": "string", "maxLength": HEADER_MAX},
    },
    "EmailContent.attachments": {"maxItems": ATTACHMENTS_MAX},
    "Attachment.filename": {**_NAME, **_LINE},
    "Attachment.content_type": {**_NAME, **_LINE},
    "WhatsappTemplate.name": _NAME,
    "WhatsappTemplate.language": {"pattern": "^[A-Za-z]{2,3}(_[A-Za-z]{2,4})?$"},
    "WhatsappContent.body": {"maxLength": TEXT_MAX},
    "WhatsappContent.media": {"maxItems": MEDIA_MAX},
    "PushContent.title": {"maxLength": TITLE_MAX, **_LINE},
    "PushContent.body": {"maxLength": TEXT_MAX},
    "PushContent.image": _LINK,
    "PushContent.sound": _NAME,
    "PushContent.badge": {"minimum": 0, "maximum": 1_000_000},
    "PushContent.collapse_key": {**_NAME, **_LINE},
    "PushContent.data": {"maxProperties": METADATA_MAX},
    **{f"{chat}Content.body": {"maxLength": TEXT_MAX} for chat in ("Chat", "Messenger", "Instagram")},
    **{f"{chat}Content.media": {"maxItems": MEDIA_MAX} for chat in ("Chat", "Messenger", "Instagram")},
    "SlackContent.body": {"maxLength": TEXT_MAX},
    "SlackContent.blocks": {"maxItems": BLOCKS_MAX},
    "InappContent.title": {"maxLength": TITLE_MAX, **_LINE},
    "InappContent.body": {"maxLength": TEXT_MAX},
    "InappContent.url": _LINK,
    "InappContent.icon": _LINK,
    "WebhookContent.type": {**_NAME, **_LINE},
    "MediaItem.url": _LINK,
    "MediaItem.content_type": {**_NAME, **_LINE},
    "MediaItem.filename": {**_NAME, **_LINE},
    "Action.id": _NAME,
    "Action.label": {**_NAME, **_LINE},
    "Action.url": _LINK,
}
"""What the structs don't say, by struct and member as it is written."""

LIKE = {"RecipientBody": "Recipient"}
"""Structs with the members, and so the limits, of another."""

UNSUPPORTED = {
    "": frozenset({"plan", "digest"}),
    "/plan": frozenset({"all", "steps"}),
    "/content": frozenset(EVERY_CHANNEL) - OWN,
}
"""Members that this version knows and refuses, by the pointer of what holds them."""


class Fault(Struct, frozen=True):
    """One thing that is wrong. `pointer` is a JSON pointer as a fragment (RFC 6901, section 6). No value is ever repeated."""

    pointer: str
    code: str
    detail: str


def pointer(path: Iterable[str | int]) -> str:
    tokens = (str(token).replace("~", "~0").replace("/", "~1")[:100] for token in path)
    return "".join(["#", *("/" + quote(token, safe="~!$&'()*+,;=:@-._") for token in tokens)])


_CONTENTS = frozenset({"TypeContent"})
"""Structs whose members are those of a content, and more."""


def schema_of(kind: Any, template: str = "#/$defs/{name}") -> tuple[dict[str, Any], dict[str, Any]]:
    """(schema, definitions) of a type, with the limits of the payload's members in them."""
    (schema,), definitions = msgspec.json.schema_components([kind], schema_hook=_anything, ref_template=template)
    for name, definition in definitions.items():
        for member, field in definition.get("properties", {}).items():
            owner = "Content" if name in _CONTENTS and f"Content.{member}" in LIMITS else LIKE.get(name, name)
            _limit(field, LIMITS.get(f"{owner}.{member}", {}))
        if name == "Payload":
            definition["oneOf"] = [{"required": ["content"]}, {"required": ["type"]}]
    return schema, definitions


def document(kind: Any) -> dict[str, Any]:
    """A complete JSON Schema (2020-12) of a type."""
    schema, definitions = schema_of(kind)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": definitions}


@cache
def validator(kind: Any) -> Any:
    return jsonschema_rs.Draft202012Validator(document(kind))


def shape_faults(kind: Any, value: object) -> list[Fault]:
    """Everything that a parsed JSON value has wrong against a type's schema; the first thousand of it."""
    return list(islice(_faults(validator(kind).iter_errors(value)), FAULTS_MAX))


def _anything(kind: type) -> dict[str, Any]:
    if kind is object:
        return {"description": "Any JSON value."}
    raise TypeError(kind)


_BY_TYPE = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "array": frozenset({"minItems", "maxItems", "uniqueItems"}),
    "integer": frozenset({"minimum", "maximum"}),
    "object": frozenset({"maxProperties", "propertyNames", "additionalProperties"}),
}


def _limit(field: dict[str, Any], limits: Mapping[str, Any]) -> None:
    """Puts each limit beside the type that it speaks of, inside unions and lists of them too."""
    for part in (field, *field.get("anyOf", ())):
        wanted = _BY_TYPE.get(str(part.get("type")), frozenset())
        part.update({key: value for key, value in limits.items() if key in wanted})
        for inner in part["items"].get("anyOf", ()) if isinstance(part.get("items"), dict) else ():
            if inner.get("type") == "string":
                inner.update({key: value for key, value in limits.items() if key in _BY_TYPE["string"]})


def faults_from(errors: Iterable[Any]) -> Iterator[Fault]:
    """The faults that a validator found by a schema of somebody else's."""
    for error in errors:
        if error.kind.name == "oneOf":
            yield Fault(pointer(error.instance_path), "invalid_value", "is not allowed")
        else:
            yield from _faults_of(error)


def _faults(errors: Iterable[Any]) -> Iterator[Fault]:
    for error in errors:
        yield from _faults_of(error)


def _faults_of(error: Any) -> Iterator[Fault]:
    path, kind = error.instance_path, error.kind
    match kind.name:
        case "anyOf":
            yield from _of_the_meant(path, kind.context)
        case "oneOf":  # of the payload: `content` or `type`
            yield Fault(pointer([*path, "content"]), "required", "is missing: content or type, one of the two")
        case "required":
            yield Fault(pointer([*path, kind.property]), "required", "is missing")
        case "additionalProperties":
            yield from (_unexpected(path, name) for name in kind.unexpected)
        case "type":
            yield Fault(pointer(path), "invalid_type", f"must be {_listed(kind.types)}")
        case "enum":
            code = "unknown_priority" if path == ["priority"] else "invalid_value"
            yield Fault(pointer(path), code, f"must be {_listed([str(option) for option in kind.options])}")
        case "pattern" | "format":
            yield Fault(
                pointer(path), _PATTERN_CODES.get(str(path[-1]) if path else "", "invalid_value"), "is not of the expected form"
            )
        case name:
            code, detail = _BOUNDS.get(name, ("invalid_value", "is not allowed"))
            yield Fault(pointer(path), code, detail.format(limit=getattr(kind, "limit", "")))


_BOUNDS = {
    "maxLength": ("too_long", "must have at most {limit} characters"),
    "minLength": ("too_short", "must have at least {limit} characters"),
    "maxItems": ("too_many", "must have at most {limit} entries"),
    "minItems": ("too_few", "must have at least {limit} entries"),
    "maxProperties": ("too_many", "must have at most {limit} members"),
    "minProperties": ("too_few", "must have at least {limit} members"),
    "maximum": ("out_of_range", "must be at most {limit}"),
    "minimum": ("out_of_range", "must be at least {limit}"),
    "uniqueItems": ("duplicate", "must not name anything twice"),
    "propertyNames": ("invalid_name", f"must have names of 1 to {METADATA_KEY_MAX} characters"),
}

_PATTERN_CODES = {
    "phone": "invalid_phone",
    "whatsapp": "invalid_phone",
    "ttl": "invalid_duration",
    "locale": "invalid_locale",
    "rate": "invalid_rate",
    "expires_at": "invalid_time",
    "language": "invalid_locale",
    **dict.fromkeys(
        ("title", "from", "reply_to", "subject", "filename", "content_type", "label", "collapse_key", "type"), "header_injection"
    ),
}


def _of_the_meant(path: list[str | int], branches: list[list[Any]]) -> Iterator[Fault]:
    """Of a union, the faults of the branch whose type was meant; a fault of type when none was."""
    wanted: list[str] = []
    for branch in branches:
        wrong = [error for error in branch if error.kind.name == "type" and error.instance_path == path]
        if not wrong:
            yield from _faults(branch)
            return
        wanted += [name for error in wrong for name in error.kind.types]
    yield Fault(pointer(path), "invalid_type", f"must be {_listed(wanted)}")


def _unexpected(path: list[str | int], name: str) -> Fault:
    where = "/" + "/".join(map(str, path)) if path else ""
    if name in UNSUPPORTED.get(where, ()):
        return Fault(pointer([*path, name]), "not_supported", "is not supported by this version")
    return Fault(pointer([*path, name]), "unknown_field", "is not a member")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
