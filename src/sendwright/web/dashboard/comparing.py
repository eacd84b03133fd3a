"""Two versions of a text, line by line. Pure, and of bounded work."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import NamedTuple

LINES_MAX = 400
"""Longer texts are shown whole, the old one before the new one."""
_AROUND = 3
"""Lines that stay, shown before and after those that changed."""


class Line(NamedTuple):
    """`tone`: `gone`, `come` or `same`; `cut`: lines are left out here."""

    tone: str
    text: str


class Part(NamedTuple):
    """One field that differs."""

    label: str
    lines: list[Line]


def compared(old: Mapping[str, str], new: Mapping[str, str], labels: Mapping[str, str]) -> list[Part]:
    """The fields that differ, in the order of the labels."""
    return [Part(label, _lines(old[name], new[name])) for name, label in labels.items() if old[name] != new[name]]


def _lines(old: str, new: str) -> list[Line]:
    a, b = old.split("\n") if old else [], new.split("\n") if new else []
    if max(len(a), len(b)) > LINES_MAX:
        return [*(Line("gone", text) for text in a), *(Line("come", text) for text in b)]
    shown: list[Line] = []
    for turn in SequenceMatcher(None, a, b, autojunk=False).get_grouped_opcodes(_AROUND):
        shown += [Line("cut", "…")] if shown or turn[0][1] else []
        for tag, a1, a2, b1, b2 in turn:
            if tag == "equal":
                shown += [Line("same", text) for text in a[a1:a2]]
            else:
                shown += [Line("gone", text) for text in a[a1:a2]] + [Line("come", text) for text in b[b1:b2]]
    return shown
