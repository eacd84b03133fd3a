"""Forms (`application/x-www-form-urlencoded`) as vendors read them: UTF-8, a space is `+` (WHATWG URL, section 5.1).

The same bytes as `urllib.parse.urlencode`, in a fraction of its time: every message through Twilio passes here.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from functools import lru_cache

_SAFE = frozenset((string.ascii_letters + string.digits + "_.-~").encode())
_WRITTEN = ["+" if byte == 0x20 else chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in range(256)]
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_USUAL = re.compile(r"[A-Za-z0-9_.~+ :/?=&,!'-]*").fullmatch
_OFTEN = [(char, _WRITTEN[ord(char)]) for char in "+ :/?=&,!'"]
"""What numbers, addresses and short texts hold beside plain letters; `+` first, for a space becomes one."""


def form_of(fields: Iterable[tuple[str, str]]) -> bytes:
    """The body of a form. Raises `ValueError` for a text that is no Unicode (a lone surrogate)."""
    return "&".join([f"{_name(name)}={quoted(value)}" for name, value in fields]).encode("ascii")


@lru_cache(maxsize=256)
def _name(text: str) -> str:
    """A field's name: there are few of them."""
    return quoted(text)


def quoted(text: str) -> str:
    if _PLAIN(text):
        return text
    if not _USUAL(text):
        return "".join(map(_WRITTEN.__getitem__, text.encode()))
    for char, written in _OFTEN:
        if char in text:
            text = text.replace(char, written)
    return text
