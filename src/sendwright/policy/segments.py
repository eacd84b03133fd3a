"""How many parts an SMS travels in, exactly: what networks bill by, and what a text that is a character too long costs.

A text of the GSM alphabet alone is sent as septets, 160 in one part or 153 in each of several; any other text as UTF-16, 70 units
in one part or 67 in each. A character that takes two septets, or two units, is never torn between two parts, so that parts may be
short by one.
Source: 3GPP TS 23.038, sections 6.2.1 and 6.2.3; TS 23.040, section 9.2.3.24.1 (the header that numbers the parts).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
"""These take two septets."""
_GSM = _BASIC | _EXTENDED
_SEPTETS = (160, 153)
_UNITS = (70, 67)
"""What one part holds that is alone, and each of several."""


class Segments(Struct, frozen=True):
    """`units`: septets of `gsm7`, or UTF-16 units of `ucs2`, of the whole text."""

    encoding: Literal["gsm7", "ucs2"]
    count: int
    units: int
    beyond: str = ""
    """The first few characters that keep a text from the GSM alphabet, each once."""


def segments_of(text: str) -> Segments:
    """Of a text as it is sent. An empty one has none."""
    beyond = dict.fromkeys(char for char in text if char not in _GSM)
    if beyond:
        widths = [2 if ord(char) > 0xFFFF else 1 for char in text]
        return Segments("ucs2", _parts(widths, *_UNITS), sum(widths), "".join(list(beyond)[:10]))
    widths = [2 if char in _EXTENDED else 1 for char in text]
    return Segments("gsm7", _parts(widths, *_SEPTETS), sum(widths))


def _parts(widths: Iterable[int], alone: int, each: int) -> int:
    """How many parts characters of these widths fill."""
    widths = list(widths)
    if sum(widths) <= alone:
        return min(1, len(widths))
    parts, left = 1, each
    for width in widths:
        if width > left:
            parts, left = parts + 1, each
        left -= width
    return parts
