"""JSON as we read it: UTF-8 without a BOM, no NaN, no lone surrogates, no member twice, not too deep.

Two readers may understand a sloppy document differently; what only one of them sees has slipped through. msgspec
refuses most of it by itself; here is the rest.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from msgspec import Struct

DEPTH_MAX = 64

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_COLON, _BACKSLASH = b":\\"  # as numbers: to look for a byte takes a fifth of the time that bytes take
_BRACKETS = bytes.maketrans(b"[{]}", b"(())")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


class Malformed(Struct, frozen=True):
    """Not JSON that we read."""

    code: str
    detail: str


NOT_JSON = Malformed("invalid_json", "The body is not JSON in UTF-8.")
_TOO_DEEP = Malformed("too_deep", f"The body nests deeper than {DEPTH_MAX}.")
_TWICE = Malformed("duplicate_key", "An object names the same member twice.")


def parse(raw: bytes) -> Any | Malformed:
    """The value of a document."""
    try:
        value = msgspec.json.decode(raw)
        return _TOO_DEEP if too_deep(raw) else twice_named(raw) or value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOT_JSON


def too_deep(raw: bytes) -> bool:
    """True when valid JSON nests deeper than 64. Takes off the innermost brackets, one level per round, in C."""
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return False
    brackets = _STRING.sub(b"", raw).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(DEPTH_MAX):
        brackets = brackets.replace(b"()", b"")
    return bool(brackets)


class _Twice(ValueError):
    """A member stands twice in one object."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Twice
    return members


_STRICT = json.JSONDecoder(object_pairs_hook=_members, parse_int=float)


def twice_named(raw: bytes) -> Malformed | None:
    """A fault when some object of valid JSON names a member twice. RecursionError when it is very deep."""
    if _BACKSLASH not in raw:
        parts = raw.split(b'"')  # without escapes every second part is a string, and a name where a colon follows
        names = [name for name, after in zip(parts[1::2], parts[2::2], strict=True) if _COLON in after]
        if len(names) == len(set(names)):
            return None
    try:
        _STRICT.decode(raw.decode())
    except _Twice:
        return _TWICE
    return None
