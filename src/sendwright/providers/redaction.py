"""What may be shown of an address, and what may be kept of a vendor's words.

Vendors quote what they were given: "The 'To' number +15005550001 is not valid". Their words are kept beside every
outcome for people to read, so addresses and credentials are taken out of them here, and whatever a terminal, a
database or a page could choke on. Pure. Adapters use it by `Provider.words`, which knows the account's secrets besides.
"""

from __future__ import annotations

import re

WORDS_MAX = 200
"""Most characters kept of a vendor's words."""

_SHORT = 9
_ADDRESS = re.compile(r"[^\s\"'<>(),;:]+@[^\s\"'<>(),;:]+|\+?[0-9](?:[ ().-]?[0-9]){6,}")
_CREDENTIALS = re.compile(r"\b(Basic|Bearer) +(?=\S*[0-9=]|\S{20})[^\s\"'<>,;]+", re.IGNORECASE)
_JOINERS = "‌‍"
_ID = re.compile(r"[A-Za-z0-9_.:+/=-]{1,255}", re.ASCII)
"""Base64 too, and long: an Instagram message's id has some 180 characters. 255 are what callbacks keep."""


def masked(address: str) -> str:
    """Enough of an address to recognise it, too little to use it: `+1•••0123`, `a•••@example.com`, `dGh•••Zm9v`."""
    name, at, domain = address.rpartition("@")
    if at:
        return f"{name[:1]}•••@{domain}"
    if len(address) < _SHORT:
        return "•••"
    return f"{address[:2]}•••{address[-4:]}"


def visible(text: str) -> str:
    """The text on one line, without anything that would steer a terminal: control characters become pictures."""
    return "".join(char if char.isprintable() or char in _JOINERS else _picture(char) for char in text)


def vendor_words(text: object) -> str:
    """A vendor's own words, short and on one line, with addresses and credentials in them masked. Not text: nothing."""
    if not isinstance(text, str):
        return ""
    cut = _CREDENTIALS.sub(r"\1 •••", text[: 4 * WORDS_MAX])
    return visible(_ADDRESS.sub(lambda found: masked(found[0]), cut))[:WORDS_MAX].strip()


def vendor_id(value: object) -> str | None:
    """The value, when it is fit to be kept as an id: short, and of letters, digits and `_ . : + / = -` alone."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _picture(char: str) -> str:
    code = ord(char)
    if char.isspace() and code > 0x20:
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "�"
