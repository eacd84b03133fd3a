"""From a request to structs: query strings and JSON bodies, with every fault listed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from sendwright.policy.duration import instant_ms
from sendwright.policy.payload_schema import Fault, shape_faults
from sendwright.policy.strict_json import NOT_JSON, Malformed, parse, twice_named
from sendwright.web.api.problems import ProblemError, Refusal, of_faults, of_parameter

PARAMETERS_MAX = 50
TIMES = frozenset({"since", "until"})

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_BARE_PLUS = re.compile(r" ([0-9]{2}:[0-9]{2})$")
_TRUTH = {"true": True, "false": False}

S = TypeVar("S", bound=Struct)


def read_query(kind: type[S] | None, query: bytes) -> S | None:
    """The parameters of a call. Unknown, repeated and unreadable ones are refused together (422): a mistyped filter
    that was ignored would answer, or drop, far more than was asked for."""
    found, faults = _pairs(query)
    known = {} if kind is None else _fields(kind)
    values: dict[str, Any] = {}
    for name, text in found.items():
        if name not in known:
            faults.append(of_parameter(name[:100], "unknown_parameter", "is not a parameter of this call"))
            continue
        try:
            values[name] = _time(text) if name in TIMES else _value(known[name], text)
        except ValueError:
            faults.append(of_parameter(name, "invalid_parameter", "has a value that is not allowed"))
    if faults:
        raise Refusal(422, "invalid_request", "The query has faults.", faults)
    return None if kind is None else kind(**values)


def read_json(kind: type[S], raw: bytes, *, itemised: bool = False) -> S:
    """A body. Refuses what is not JSON (400) and lists what is wrong with the rest (422)."""
    try:
        value: S = _decoder(kind).decode(raw)
        malformed = None if itemised else twice_named(raw)
    except msgspec.ValidationError:
        doc = _skeleton(raw) if itemised else parse(raw)
        if not isinstance(doc, Malformed):
            return _judged(kind, doc)
        malformed = doc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        malformed = NOT_JSON
    if malformed is not None:
        raise Refusal(400, malformed.code, malformed.detail)
    return value


def _judged(kind: type[S], doc: Any) -> S:
    """All faults of a value; or the struct after all, since to JSON Schema 5.0 is a whole number."""
    not_yet = {f"#/{name}" for name in getattr(kind, "NOT_YET", ())}
    found = [_not_supported(f.pointer) if f.pointer in not_yet else f for f in shape_faults(kind, doc)]
    if found:
        raise of_faults(found)
    whole = {name: int(n) if isinstance(n, float) and n.is_integer() else n for name, n in doc.items()}
    try:
        return msgspec.convert(whole, kind)
    except msgspec.ValidationError:
        raise of_faults([Fault("#", "invalid_value", "is not what this call takes")]) from None


def _not_supported(pointer: str) -> Fault:
    return Fault(pointer, "not_supported", "is not supported by this version")


def _pairs(query: bytes) -> tuple[dict[str, str], list[ProblemError]]:
    try:
        pairs = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX, encoding="utf-8", errors="strict"
        )
    except ValueError:
        raise Refusal(422, "invalid_request", "The query can't be read, or has too many parameters.") from None
    found: dict[str, str] = {}
    faults: list[ProblemError] = []
    for name, text in pairs:
        if name in found:
            faults.append(of_parameter(name[:100], "duplicate", "is given more than once"))
        found[name] = text
    return found, faults


@cache
def _fields(kind: type[Struct]) -> Mapping[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _value(kind: Any, text: str) -> Any:
    """The text as it stands, else as the truth value or whole number that it writes."""
    if "\0" in text:
        raise ValueError("holds a NUL")
    try:
        return msgspec.convert(text, kind)
    except msgspec.ValidationError:
        if text in _TRUTH:
            return msgspec.convert(_TRUTH[text], kind)
        if _INTEGER.fullmatch(text):
            return msgspec.convert(int(text), kind)
        raise


def _time(text: str) -> str:
    """An RFC 3339 time; the plus of its offset may have come unescaped, which makes it a space."""
    mended = _BARE_PLUS.sub(r"+\1", text)
    instant_ms(mended)
    return mended


def _skeleton(raw: bytes) -> Any | Malformed:
    """A large body's outer shape, its items left out, so that listing its faults costs nothing."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw])
        return {name: _hollow(value) for name, value in members.items()}
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOT_JSON


def _hollow(value: Raw) -> Any:
    try:
        return [None] * len(msgspec.json.decode(value, type=list[Raw]))
    except msgspec.ValidationError:
        return 0
