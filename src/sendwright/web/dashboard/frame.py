"""What stands around every page: where one can go, who is signed in, and what came of the last click."""

from __future__ import annotations

from typing import NamedTuple

from sendwright.model.stats import Backlog
from sendwright.web.dashboard.rendering import capped


class Link(NamedTuple):
    """`counts` names the figure of the backlog that is shown beside it."""

    name: str
    path: str
    counts: str | None = None


class Section(NamedTuple):
    name: str
    links: tuple[Link, ...]


NAVIGATION = (
    Section("Activity", (Link("Overview", "/dashboard"), Link("Messages", "/dashboard/messages"))),
    Section("Needs you", (Link("Doubts", "/dashboard/doubts", "in_doubt"), Link("Dead letters", "/dashboard/dead", "dead"))),
    Section("Set-up", (Link("Providers", "/dashboard/providers"),)),
    Section("Access", (Link("Sessions", "/dashboard/sessions"),)),
)
"""A new page is a link here and a row in app.py. Recipients and suppressions are a section of their own ("People"), types belong to
"Set-up", keys to "Access"."""

_NOTES = {
    "signed_in": ("good", "You are signed in."),
    "cancelled": ("good", "Cancelled: it will never be sent."),
    "too_late": ("doubt", "Too late to cancel: it was sent, is being sent or may have been."),
    "resent": ("good", "It goes out again, from its first step."),
    "resolved": ("good", "The doubt is settled."),
    "replayed": ("good", "Sent again: {done}. Left as they were: {skipped}."),
    "dropped": ("good", "Dropped: {done}. Left as they were: {skipped}."),
    "nothing_chosen": ("doubt", "Nothing was chosen."),
    "switched_on": ("good", "The provider is on."),
    "switched_off": ("good", "The provider is off. Its messages take another one, or wait."),
    "ended": ("good", "That session is over."),
    "not_in_doubt": ("doubt", "This message is not in doubt any more: somebody, or a receipt, has settled it."),
    "in_flight": ("doubt", "The message is on its way, or has moved this moment: nothing was sent again."),
    "arrived": ("doubt", "The message has arrived: there is nothing to send again."),
    "nothing_to_send": ("doubt", "The message never had an address that it could go to."),
    "content_gone": ("doubt", "What the message said is forgotten, by [retention] content: post it anew."),
}
"""What a page may say of the last click: nothing that stands in an address is ever repeated."""


class Note(NamedTuple):
    tone: str
    text: str


def note_of(query: dict[str, str]) -> Note | None:
    found = _NOTES.get(query.get("note", ""))
    if found is None:
        return None
    return Note(found[0], found[1].format(done=_count(query.get("done")), skipped=_count(query.get("skipped"))))


def is_note(code: str) -> bool:
    return code in _NOTES


def _count(text: str | None) -> str:
    return f"{int(text):,}" if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else "0"


def counts_of(backlog: Backlog) -> dict[str, str]:
    """What stands beside the links; nothing for nothing."""
    figures = {"dead": backlog.dead, "in_doubt": backlog.in_doubt}
    return {name: capped(count) for name, count in figures.items() if count}
