"""Where a text may be cut without breaking what a reader takes for one character (Unicode, UAX #29, extended clusters).

Errs on one side: it may hold together what could be parted, and parts nothing that belongs together. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_JOINER = "\u200d"
_EXTENDS = frozenset({"Mn", "Me", "Mc"})
_HANGUL = (
    ("L", 0x1100, 0x115F),
    ("L", 0xA960, 0xA97C),
    ("V", 0x1160, 0x11A7),
    ("V", 0xD7B0, 0xD7C6),
    ("T", 0x11A8, 0x11FF),
    ("T", 0xD7CB, 0xD7FB),
)
_FOLLOWS = {"L": ("L", "V", "LV", "LVT"), "LV": ("V", "T"), "V": ("V", "T"), "LVT": ("T",), "T": ("T",)}
"""What is of the same syllable (GB6 to GB8)."""
_PREPENDED = frozenset(map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)))
"""What belongs to the character behind it (GB9b)."""
_VIRAMA = 9
"""The combining class of what joins consonants to one syllable (GB9c)."""


def boundaries(text: str) -> Iterator[int]:
    """Places behind a whole character, ascending; the end is the last."""
    if text.isascii() and "\r" not in text:
        yield from range(1, len(text) + 1)
        return
    flags, linked = 0, False
    for place, char in enumerate(text):
        if place and not _joined(text[place - 1], char, flags=flags, linked=linked):
            yield place
            flags = 0
        flags = flags + 1 if _is_flag(char) else 0
        linked = unicodedata.combining(char) == _VIRAMA or (linked and _extends(char))
    if text:
        yield len(text)


def _joined(before: str, char: str, *, flags: int, linked: bool) -> bool:
    """`flags`: how many regional indicators stand right before, in this character. `linked`: it has a virama in it, and nothing
    that begins behind that."""
    if before == "\r" and char == "\n":
        return True
    if before < "\u0300" and char < "\u0300":
        return False
    if _extends(char) or before == _JOINER or before in _PREPENDED:
        return before not in "\r\n"
    if _is_flag(char) and flags % 2:
        return True
    if linked and unicodedata.category(char).startswith("L"):
        return True
    return _hangul(char) in _FOLLOWS.get(_hangul(before), ())


def _extends(char: str) -> bool:
    point = ord(char)
    return (
        char in (_JOINER, "\u200c")
        or unicodedata.category(char) in _EXTENDS
        or 0x1F3FB <= point <= 0x1F3FF  # the tones of skin
        or 0xE0020 <= point <= 0xE007F  # tags: flags of regions
        or 0xFF9E <= point <= 0xFF9F
        or point in (0x0E33, 0x0EB3)
    )


def _is_flag(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF


def _hangul(char: str) -> str:
    """What a letter of Hangul is: `L` begins a syllable, `V` is its vowel, `T` ends it; `LV` and `LVT` are whole ones."""
    point = ord(char)
    if 0xAC00 <= point <= 0xD7A3:
        return "LVT" if (point - 0xAC00) % 28 else "LV"
    return next((kind for kind, first, last in _HANGUL if first <= point <= last), "")
