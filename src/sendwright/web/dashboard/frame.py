"""What stands around every page: where one can go, who is signed in, and what came of the last click."""

from __future__ import annotations

from typing import NamedTuple

from sendwright.model.stats import Backlog
from sendwright.web.api.auth import Caller
from sendwright.web.dashboard.rendering import capped


class Link(NamedTuple):
    """`counts` names the figure of the backlog that is shown beside it; `scope` is what a key needs to see the page.
    `root`: it is for the admin key alone."""

    name: str
    path: str
    counts: str | None = None
    scope: str = "read"
    root: bool = False


class Section(NamedTuple):
    name: str
    links: tuple[Link, ...]


NAVIGATION = (
    Section("Activity", (Link("Overview", "/dashboard"), Link("Messages", "/dashboard/messages"))),
    Section("Needs you", (Link("Doubts", "/dashboard/doubts", "in_doubt"), Link("Dead letters", "/dashboard/dead", "dead"))),
    Section("People", (Link("People", "/dashboard/people"), Link("Suppressions", "/dashboard/suppressions"))),
    Section(
        "Set-up",
        (Link("Types", "/dashboard/types"), Link("Providers", "/dashboard/providers"), Link("Endpoints", "/dashboard/endpoints")),
    ),
    Section(
        "Access",
        (
            Link("Keys", "/dashboard/keys", scope="admin"),
            Link("Sessions", "/dashboard/sessions"),
            Link("Tenant", "/dashboard/tenant", root=True),
        ),
    ),
)
"""A new page is a link here and a row in app.py."""

_NOTES = {
    "signed_in": ("good", "You are signed in."),
    "cancelled": ("good", "Cancelled: it will never be sent."),
    "too_late": ("doubt", "Too late to cancel: it was sent, is being sent or may have been."),
    "resent": ("good", "It goes out again, from its first step."),
    "resolved": ("good", "The doubt is settled."),
    "replayed": ("good", "Sent again: {done}. Left as they were: {skipped}."),
    "replayed_late": (
        "doubt",
        "Sent again: {done}. Left as they were: {skipped}, {late} of them past their deadline: post those anew.",
    ),
    "dropped": ("good", "Dropped: {done}. Left as they were: {skipped}."),
    "nothing_chosen": ("doubt", "Nothing was chosen."),
    "switched_on": ("good", "The provider is on."),
    "switched_off": ("good", "The provider is off. Its messages take another one, or wait."),
    "ended": ("good", "That session is over."),
    "not_in_doubt": ("doubt", "This message is not in doubt any more: somebody, or a receipt, has settled it."),
    "in_flight": ("doubt", "The message is on its way, or has moved this moment: nothing was sent again."),
    "arrived": ("doubt", "The message has arrived: there is nothing to send again."),
    "nothing_to_send": ("doubt", "The message never had an address that it could go to."),
    "expired": ("doubt", "The message is past its deadline, and is never sent any more: post it anew."),
    "saved": ("good", "Saved as version {done}. What is accepted from now on says this."),
    "unchanged": ("doubt", "It says the same as the newest version: none was made."),
    "type_deleted": ("good", "The type is deleted. What was accepted of it goes on."),
    "suppressed": ("good", "Nothing is sent to that address any more."),
    "lifted": ("good", "It is off the list: the address may be sent to again."),
    "revoked": ("good", "The key is revoked. It works nowhere any more within a second."),
    "erased": ("good", "The person is erased. Messages: {done}, of which {skipped} will now never be sent."),
    "changed": ("good", "Changed."),
    "endpoint_on": ("good", "The endpoint is enabled, and goes on where it stopped."),
    "endpoint_off": ("good", "The endpoint is disabled. What happens meanwhile is kept for it."),
    "endpoint_deleted": ("good", "The endpoint is forgotten, and all that was on its way there."),
    "posted_again": ("good", "Posted again: {done}."),
    "acting": ("good", "You act for another tenant now. Pages that were opened before must be opened anew."),
    "acting_no_more": ("good", "You act for your own tenant again."),
    "content_gone": ("doubt", "What the message said is forgotten, by [retention] content: post it anew."),
}
"""What a page may say of the last click: nothing that stands in an address is ever repeated."""


def navigation_of(caller: Caller) -> list[Section]:
    """Where this one can go."""

    def seen(link: Link) -> bool:
        return link.scope in caller.scopes and (caller.root or not link.root)

    return [Section(section.name, tuple(filter(seen, section.links))) for section in NAVIGATION]


class Note(NamedTuple):
    tone: str
    text: str


def note_of(query: dict[str, str]) -> Note | None:
    found = _NOTES.get(query.get("note", ""))
    if found is None:
        return None
    return Note(found[0], found[1].format(**{name: _count(query.get(name)) for name in ("done", "skipped", "late")}))


def is_note(code: str) -> bool:
    return code in _NOTES


def _count(text: str | None) -> str:
    return f"{int(text):,}" if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else "0"


def counts_of(backlog: Backlog) -> dict[str, str]:
    """What stands beside the links; nothing for nothing."""
    figures = {"dead": backlog.dead, "in_doubt": backlog.in_doubt}
    return {name: capped(count) for name, count in figures.items() if count}
