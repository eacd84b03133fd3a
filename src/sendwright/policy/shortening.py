"""What gives where a text is longer than its channel takes: it is shortened, visibly, or refused as `too_long`.

Push, web push and the inbox are glanced at, and lead to an app that has the whole: their text is shortened, and then their title,
unless the content says otherwise. Elsewhere the text is all that there is, and a code or a condition that was cut off is worse than
a refusal, after which the next step goes: SMS and chats are shortened where the content says so, and nowhere else. What is no text
for a reader is never cut, that is data, buttons, templates, links, mails and webhooks: where those are too long, or a text would be
cut to next to nothing, it is refused.

A text is cut behind a whole character, never inside a link, and ends in an ellipsis then; a content's `url` stays. How long it may
be is what the provider's kind counts (`Provider.counted`, `Capabilities`), parts of an SMS included. Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from sendwright.model.content import Content, Overflow
from sendwright.policy.graphemes import boundaries
from sendwright.policy.segments import segments_of
from sendwright.providers.contract import Capabilities, length_of

SHORTENED = frozenset({"push", "webpush", "inapp"})
"""Channels that are shortened unless the content says otherwise. Their titles may be, too."""
WHOLE = frozenset({"email", "webhook"})
"""Channels that never are."""
KEPT = 20
"""Characters, as a reader counts them, that are left of a text and of a title at the least."""
PART = 160
"""Most characters in a part of an SMS."""

_RUN = re.compile(r"\S+")
_LINK = re.compile(r"://|mailto:|tel:|www\.|\.[a-z]{2,24}/", re.IGNORECASE)
"""What stands in a link. Each is looked for in a bounded number of steps for a place, for a text may be anybody's."""


class Wording(Struct, frozen=True):
    """The texts of a message. What stands around `text` in its body stays: a title and a link, where a channel knows only text."""

    title: str | None
    text: str
    before: str = ""
    after: str = ""

    @property
    def body(self) -> str:
        return f"{self.before}{self.text}{self.after}"


class Cut(Struct, frozen=True):
    """How many characters were left out."""

    title: int
    body: int


def overflow_of(content: Content, channel: str) -> Overflow:
    """What is to be done with a text that is too long there."""
    if channel in WHOLE:
        return "refuse"
    own: Overflow | None = getattr(content.own(channel), "overflow", None)
    return own or content.overflow or ("shorten" if channel in SHORTENED else "refuse")


def too_long(text: str, can: Capabilities) -> str | None:
    """Why what is counted of a message is more than its provider takes; None where it is not."""
    if can.body_max is not None and length_of(text, can.unit) > can.body_max:
        return f"longer than {can.body_max} {can.unit}"
    if can.segments_max is not None and segments_of(text).count > can.segments_max:
        return f"longer than {can.segments_max} part{'s' if can.segments_max > 1 else ''}"
    return None


def shortened(said: Wording, channel: str, can: Capabilities, counted: Callable[[Wording], str]) -> Wording | None:
    """The wording as it fits: itself where it does. None where it can't be made to fit."""

    def fits(wording: Wording) -> bool:
        return too_long(counted(wording), can) is None

    if fits(said):
        return said
    most = max(can.body_max or 0, (can.segments_max or 0) * PART)
    plain = channel == "sms"
    if said.title is not None and said.text == said.title and not said.before:
        return _cut(said.text, most, lambda text: replace(said, title=text, text=text), fits, plain=plain)[0]
    found, least = _cut(said.text, most, lambda text: replace(said, text=text), fits, plain=plain)
    if found is not None or channel not in SHORTENED or not said.title:
        return found
    return _cut(said.title, most, lambda title: replace(least, title=title), fits, plain=plain)[0]


def cut_between(said: Wording, sent: Wording) -> Cut | None:
    """How much was left out; None where nothing was."""
    if said == sent:
        return None
    return Cut(_left_out(said.title or "", sent.title or ""), _left_out(said.text, sent.text))


def _cut(
    text: str, most: int, put: Callable[[str], Wording], fits: Callable[[Wording], bool], *, plain: bool
) -> tuple[Wording | None, Wording]:
    """With the longest beginning of a text that fits, if any does; and with the shortest that is allowed."""
    places = _places(text, most)
    if not places:
        return None, put(text)

    def at(place: int) -> Wording:
        begun = text[:place].rstrip()
        return put(begun + _ellipsis(put(begun).body, plain=plain))

    first, beyond = 0, len(places)
    while first < beyond:
        middle = (first + beyond) // 2
        first, beyond = (middle + 1, beyond) if fits(at(places[middle])) else (first, middle)
    return (at(places[first - 1]) if first else None), at(places[0])


def _ellipsis(body: str, *, plain: bool) -> str:
    """One character; three dots where it would take a text out of the alphabet of SMS."""
    return "..." if plain and segments_of(body).encoding == "gsm7" else "…"


def _places(text: str, most: int) -> Sequence[int]:
    """Where a text may be cut: behind `KEPT` whole characters or more, outside of links, and not further on than could fit."""
    window = text[: most + PART]
    places = list(boundaries(window))[KEPT - 1 : -1]
    for run in _RUN.finditer(window):
        if _LINK.search(run[0]):
            del places[bisect_right(places, run.start()) : bisect_right(places, run.end() - 1)]
    return places


def _left_out(said: str, sent: str) -> int:
    """Characters of a text that are not in what was sent of it, whose ellipsis is no part of it."""
    return 0 if said == sent else len(said) - len(sent.removesuffix("...").removesuffix("…"))
