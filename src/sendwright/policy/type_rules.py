"""What types may be, and what a notification of a type becomes: the payload with everything that its type says.

A type's version is looked up once, when a notification is accepted, and travels with it from there: what is put afterwards changes
nothing that is under way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from sendwright.model.layouts import LayoutVersion
from sendwright.model.notification import Payload
from sendwright.model.said import Said
from sendwright.model.types import Referred, TypeBody, TypeVersion
from sendwright.policy.content_faults import content_faults
from sendwright.policy.layouts import named_by, travelling
from sendwright.policy.payload_schema import FAULTS_MAX, Fault, faults_from, pointer, shape_faults
from sendwright.policy.template_grammar import is_template
from sendwright.policy.templates import RESERVED, check_all

NAME_PATTERN = "^[a-z0-9][a-z0-9._-]{0,99}$"
SCHEMA_MAX = 100_000
"""Characters of a type's JSON Schema."""

_NAME = re.compile(NAME_PATTERN)
_PINNED = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]{0,99})(?:@(?P<version>[1-9][0-9]{0,8}))?")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,6}")
_OF_SHAPE = frozenset({"invalid_type", "unknown_field"})
"""Faults that no template can mend, for it comes to a text. Nor is `overflow` a matter of the data."""
_BACKSLASH = ord("\\")
UNKNOWN = Fault("#/type", "unknown_type", "is not a type, or not a version of one")


class _Named(Struct):
    type: str | UnsetType = UNSET


class _Given(Struct):
    """What a request itself says of what its type says too."""

    category: str | UnsetType = UNSET
    priority: str | UnsetType = UNSET
    ttl: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def parsed(text: str) -> tuple[str, int | None] | None:
    """Name and version of `order.shipped@3`; without one, the newest is meant. None for what names no type."""
    found = _PINNED.fullmatch(text)
    return None if found is None else (found["name"], int(found["version"]) if found["version"] else None)


def type_in(raw: bytes) -> str | None:
    """The type that a body names, whatever else is wrong with it. Of a body that names none, next to nothing is read."""
    if b'"type"' not in raw and _BACKSLASH not in raw:
        return None
    try:
        named = msgspec.json.decode(raw, type=_Named).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if isinstance(named, UnsetType) else named


def applied(payload: Payload, raw: bytes, found: TypeVersion) -> Payload:
    """The payload with what its type says; `raw` is the body, whose own words count where they may."""
    given, body = msgspec.json.decode(raw, type=_Given), found.body
    own_end = given.ttl is not UNSET or given.expires_at is not UNSET
    return replace(
        payload,
        type=found.pinned,
        content=said_by(body),
        data={} if payload.data is UNSET else payload.data,
        category="marketing" if "marketing" in (body.category, given.category) else body.category,
        priority=body.priority if given.priority is UNSET else payload.priority,
        ttl=payload.ttl if own_end or body.ttl is UNSET else body.ttl,
        channels=payload.channels if payload.channels is not UNSET or body.plan is UNSET else body.plan.channels,
    )


def said_by(body: TypeBody) -> Said:
    """What a type says, as it travels."""
    return msgspec.convert(msgspec.to_builtins(body.content), Said)


def surrounding(payload: Payload, layouts: Mapping[str, LayoutVersion]) -> Payload:
    """The payload with the layouts that its content names, which are fixed with it."""
    content = payload.content
    if isinstance(content, UnsetType) or not layouts:
        return payload
    said = content if isinstance(content, Said) else msgspec.convert(msgspec.to_builtins(content), Said)
    return replace(payload, content=replace(said, layouts=travelling(layouts, layouts)))


def faults_against(doc: dict[str, Any], named: Referred, live: Collection[str]) -> Iterator[Fault]:
    """What is wrong with a parsed payload by what its type asks."""
    if named.type is None:
        yield UNKNOWN
        return
    body = named.type.body
    if not all(name in named.layouts for name in named_by(body.content)):
        yield Fault("#/type", "unknown_layout", "names a layout that is not there any more")
    if body.category == "marketing" and doc.get("category") == "transactional":
        yield Fault("#/category", "conflict", "is marketing by its type, which a request can only make stricter")
    if "channels" not in doc and not isinstance(body.plan, UnsetType) and not any(name in live for name in body.plan.channels):
        yield Fault("#/type", "no_provider", "none of the channels of its plan has a provider")
    data = doc.get("data", {})
    if isinstance(data, dict) and not isinstance(body.schema, UnsetType):
        yield from data_faults(body.schema, data)


def data_faults(schema: dict[str, Any], data: Any) -> Iterator[Fault]:
    """What is wrong with data by a type's JSON Schema."""
    errors = _validator(msgspec.json.encode(schema, order="sorted")).iter_errors(data)
    for count, fault in enumerate(faults_from(errors)):
        if count == FAULTS_MAX:
            return
        yield Fault(f"#/data{fault.pointer[1:]}", fault.code, fault.detail)


def name_faults(data: object) -> Iterator[Fault]:
    """Variables that would hide what templates are given beside them."""
    for name in data if isinstance(data, dict) else ():
        if name in RESERVED:
            yield Fault(pointer(("data", name)), "reserved", "is a name that templates have for something else")


def template_faults(content: object, found: dict[str, Fault], path: tuple[str | int, ...]) -> None:
    """Of a content's faults (by pointer) takes away those of parts that are templates, since nobody knows yet what they will
    say; and adds what is wrong with the templates."""
    for where in _templates(content, path):
        if where in found and found[where].code not in _OF_SHAPE and not where.endswith("/overflow"):
            del found[where]
    for fault in check_all(content, path):
        found[fault.pointer] = fault


def body_faults(doc: object, schemes: frozenset[str], known: Collection[str], ttl_ok: Callable[[str], bool]) -> list[Fault]:
    """Everything that is wrong with the parsed body of a type. `schemes`: of links; `known`: the channels there are."""
    found: dict[str, Fault] = {}
    for fault in shape_faults(TypeBody, doc):
        found.setdefault(fault.pointer, fault)
    if isinstance(doc, dict):
        for fault in _meant(doc, schemes, known, ttl_ok):
            found.setdefault(fault.pointer, fault)
        template_faults(doc.get("content"), found, ("content",))
    return list(found.values())[:FAULTS_MAX]


def _meant(doc: dict[str, Any], schemes: frozenset[str], known: Collection[str], ttl_ok: Callable[[str], bool]) -> Iterator[Fault]:
    content = doc.get("content")
    yield from content_faults(content, schemes)
    locales = content.get("locales") if isinstance(content, dict) else None
    for locale, said in locales.items() if isinstance(locales, dict) else ():
        at = pointer(("content", "locales", locale))
        if not _LOCALE.fullmatch(locale):
            yield Fault(at, "invalid_locale", "must be a language tag, as pt-BR")
        for fault in content_faults(said, schemes):
            if fault.code != "empty":
                yield Fault(at + fault.pointer.removeprefix("#/content"), fault.code, fault.detail)
    plan = doc.get("plan")
    channels = plan.get("channels") if isinstance(plan, dict) else None
    for position, channel in enumerate(channels if isinstance(channels, list) else ()):
        if isinstance(channel, str) and channel not in known:
            yield Fault(pointer(("plan", "channels", position)), "unknown_channel", "is no channel")
    if isinstance(doc.get("ttl"), str) and not ttl_ok(doc["ttl"]):
        yield Fault("#/ttl", "invalid_duration", "must be a duration above zero and up to 365d, as 90s, 10m, 36h or 7d")
    yield from _schema_faults(doc.get("schema"))


def _schema_faults(schema: object) -> Iterator[Fault]:
    if not isinstance(schema, dict):
        return
    encoded = msgspec.json.encode(schema, order="sorted")
    if len(encoded) > SCHEMA_MAX:
        yield Fault("#/schema", "too_long", f"must have at most {SCHEMA_MAX} characters")
        return
    try:
        _validator(encoded)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        yield Fault("#/schema", "invalid_schema", "is not a JSON Schema (2020-12) that stands by itself")


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    """Refers to nothing outside of itself. Its patterns are matched in linear time, so that none is a trap."""
    return jsonschema_rs.Draft202012Validator(
        msgspec.json.decode(schema), offline=True, pattern_options=jsonschema_rs.RegexOptions(size_limit=1_000_000)
    )


def _templates(part: object, path: tuple[str | int, ...]) -> Iterator[str]:
    if isinstance(part, str):
        if is_template(part):
            yield pointer(path)
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from _templates(value, (*path, name))
    elif isinstance(part, list):
        for place, value in enumerate(part):
            yield from _templates(value, (*path, place))
