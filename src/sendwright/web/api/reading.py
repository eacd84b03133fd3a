"""From a request to structs: query strings and JSON bodies, with every fault listed. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from sendwright.policy.duration import instant_ms
from sendwright.policy.payload_schema import Fault, shape_faults
from sendwright.policy.strict_json import NOT_JSON, Malformed, parse, too_deep, twice_named
from sendwright.web.api.problems import ProblemError, Refusal, of_faults, of_parameter, too_deep_body
from sendwright.web.api.services import MEGABYTE

PARAMETERS_MAX = 50
TIMES = frozenset({"since", "until"})

_TWICE_OUTSIDE = Malformed("duplicate_key", "The body names the same member twice.")
_NAME = re.compile(rb'\s*[{,]\s*"(?:[^"\\]|\\.)*"\s*:\s*')
_END = re.compile(rb"\s*\{?\s*\}\s*")

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_BARE_PLUS = re.compile(r" ([0-9]{2}:[0-9]{2})$")
_TRUTH = {"true": True, "false": False}

S = TypeVar("S", bound=Struct)
Judge = Callable[[dict[str, Any]], Iterable[Fault]]


def read_query(kind: type[S] | None, query: bytes) -> S | None:
    """The parameters of a call. Unknown, repeated and unreadable ones are refused together (422): a mistyped filter
    that was ignored would answer, or drop, far more than was asked for."""
    found, faults = _pairs(query)
    known = {} if kind is None else _fields(kind)
    values: dict[str, Any] = {}
    for name, text in found.items():
        if name not in known:
            faults.append(of_parameter(_shown(name), "unknown_parameter", "is not a parameter of this call"))
            continue
        try:
            values[name] = _time(text) if name in TIMES else _value(known[name], text)
        except ValueError:
            faults.append(of_parameter(name, "invalid_parameter", "has a value that is not allowed"))
    if faults:
        raise Refusal(422, "invalid_request", "The query has faults.", faults)
    return None if kind is None else kind(**values)


def read_json(kind: type[S], raw: bytes, meant: Judge | None = None) -> S:
    """A body. Refuses what is not JSON (400) and lists what is wrong with the rest (422). `meant` finds, in a body of a wrong
    shape, what else is wrong: one fault for a place, the shape's first."""
    try:
        value: S = _decoder(kind).decode(raw)
        malformed = twice_named(raw)
    except msgspec.ValidationError:
        doc = parse(raw)
        if not isinstance(doc, Malformed):
            return _judged(kind, doc, meant)
        malformed = doc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        malformed = NOT_JSON
    if malformed is not None:
        raise Refusal(400, malformed.code, malformed.detail)
    return value


def read_items(kind: type[S], raw: bytes) -> S:
    """A large body, whose items are judged one by one later: its outer shape alone. Refuses as `read_json` does."""
    members = _members(raw)
    if isinstance(members, Malformed):
        raise Refusal(400, members.code, members.detail)
    try:
        value: S = _decoder(kind).decode(raw)
    except msgspec.ValidationError:
        if len(raw) <= MEGABYTE and too_deep(raw):  # a larger one is refused as it is, without being searched through
            raise too_deep_body() from None
        return _judged(kind, members and {name: _hollow(member) for name, member in members.items()})
    return value


def _judged(kind: type[S], doc: Any, meant: Judge | None = None) -> S:
    """All faults of a value; or the struct after all, since to JSON Schema 5.0 is a whole number."""
    not_yet = {f"#/{name}" for name in getattr(kind, "NOT_YET", ())}
    found = [_not_supported(f.pointer) if f.pointer in not_yet else f for f in shape_faults(kind, doc)]
    if found:
        raise of_faults(found if meant is None or not isinstance(doc, dict) else [*found, *_beside(found, meant(doc))])
    whole = {name: int(n) if isinstance(n, float) and n.is_integer() else n for name, n in doc.items()}
    try:
        return msgspec.convert(whole, kind)
    except msgspec.ValidationError:
        raise of_faults([Fault("#", "invalid_value", "is not what this call takes")]) from None


def _beside(found: Iterable[Fault], more: Iterable[Fault]) -> Iterator[Fault]:
    """Of these, those of places where nothing was found yet."""
    places = {fault.pointer for fault in found}
    return (fault for fault in more if fault.pointer not in places)


def _not_supported(pointer: str) -> Fault:
    return Fault(pointer, "not_supported", "is not supported by this version")


def _pairs(query: bytes) -> tuple[dict[str, str], list[ProblemError]]:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="surrogateescape")
    found: dict[str, str] = {}
    faults: list[ProblemError] = []
    if len(pairs) > PARAMETERS_MAX:
        faults.append(of_parameter(_shown(pairs[PARAMETERS_MAX][0]), "too_many", f"comes after {PARAMETERS_MAX} others"))
    for name, text in pairs[:PARAMETERS_MAX]:
        if not _is_text(name + text):
            faults.append(of_parameter(_shown(name), "invalid_encoding", "is not in UTF-8"))
            continue
        if name in found:
            faults.append(of_parameter(_shown(name), "duplicate", "is given more than once"))
        found[name] = text
    return found, faults


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()[:100]


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


def _members(raw: bytes) -> dict[str, Raw] | Malformed | None:
    """The members of a body's outer object, unread; None where it is no object."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOT_JSON
    return _TWICE_OUTSIDE if _twice_outside(raw, members.values()) else members


def _twice_outside(raw: bytes, values: Iterable[Raw]) -> bool:
    """Whether an object has a member beside those of the values: of a name that stands twice only one value is known."""
    at = 0
    for value in values:
        name = _NAME.match(raw, at)
        if name is None or not raw.startswith(bytes(value), name.end()):
            return True
        at = name.end() + len(bytes(value))
    return _END.fullmatch(raw, at) is None


def _hollow(value: Raw) -> Any:
    try:
        return [None] * len(msgspec.json.decode(value, type=list[Raw]))
    except msgspec.ValidationError:
        return 0
