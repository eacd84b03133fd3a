"""The in-app inbox: what lies in it, how it is looked at, and what a person does with it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from sendwright.model.content import Action
from sendwright.model.states import AttemptState


class ItemContent(Struct, frozen=True, omit_defaults=True):
    """What an item shows."""

    title: str | None = None
    body: str = ""
    url: str | None = None
    icon: str | None = None
    actions: tuple[Action, ...] = ()
    data: dict[str, Any] = {}

    def __repr__(self) -> str:
        return "ItemContent(…)"


class Item(Struct, frozen=True):
    """One message in a person's inbox. Its id is the message's; times are ms since 1970."""

    id: str
    tenant: str
    recipient: str
    at: int
    """When it was put there."""
    provider: str
    attempt: str
    said: ItemContent
    delivered_at: int | None = None
    """When an app of the person's first fetched it."""
    read_at: int | None = None
    archived_at: int | None = None
    snoozed_until: int | None = None
    owed: int | None = None
    """The attempt's state that a person's doing says and that is not reported yet."""

    def __repr__(self) -> str:
        return f"Item({self.id})"


class View(StrEnum):
    """Which items of an inbox."""

    ALL = "all"
    """What is neither archived nor snoozed."""
    UNREAD = "unread"
    """Of those, what was not read."""
    ARCHIVED = "archived"
    SNOOZED = "snoozed"
    """What comes back later."""


class Mark(StrEnum):
    """What becomes of items."""

    DELIVERED = "delivered"
    READ = "read"
    UNREAD = "unread"
    ARCHIVED = "archived"
    RESTORED = "restored"
    """Neither archived nor snoozed any more."""
    SNOOZED = "snoozed"


class Place(NamedTuple):
    """Where a list goes on: after this item."""

    at: int
    id: str


class Counts(Struct, frozen=True):
    """Of what is neither archived nor snoozed. `version` is another whenever anything in the inbox is."""

    unread: int
    total: int
    version: str


def marked(item: Item, mark: Mark, now: int, until: int | None = None) -> Item:
    """The item afterwards; the same where that changes nothing."""
    match mark:
        case Mark.DELIVERED:
            return item if item.delivered_at is not None else replace(item, delivered_at=now, owed=AttemptState.DELIVERED)
        case Mark.READ:
            first = item.delivered_at or now
            return item if item.read_at is not None else replace(item, read_at=now, delivered_at=first, owed=AttemptState.READ)
        case Mark.UNREAD:
            return item if item.read_at is None else replace(item, read_at=None)
        case Mark.ARCHIVED:
            return item if item.archived_at is not None else replace(item, archived_at=now, snoozed_until=None)
        case Mark.RESTORED:
            there = item.archived_at is None and item.snoozed_until is None
            return item if there else replace(item, archived_at=None, snoozed_until=None)
        case Mark.SNOOZED:
            return item if item.snoozed_until == until else replace(item, snoozed_until=until, archived_at=None)
