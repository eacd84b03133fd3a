"""What the API answers and is asked of recipients and suppressions, as structs. As in shapes.py: an absent value is null."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from sendwright.model.notification import PushToken
from sendwright.model.people import Extent, Source
from sendwright.web.api.problems import Problem
from sendwright.web.api.shapes import PageQuery, Time, Word

Text = str | UnsetType | None


class RecipientBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be known of a recipient. A member that is null is taken away; one that is left out stays, but for `PUT`, which
    writes the whole."""

    id: str | UnsetType = UNSET
    email: Text = UNSET
    phone: Text = UNSET
    whatsapp: Text = UNSET
    instagram: Text = UNSET
    messenger: Text = UNSET
    telegram: Text = UNSET
    line: Text = UNSET
    slack: Text = UNSET
    discord: Text = UNSET
    teams: Text = UNSET
    push: list[PushToken] | UnsetType | None = UNSET
    webpush: list[dict[str, object]] | UnsetType | None = UNSET
    webhook: Text = UNSET
    locale: Text = UNSET
    timezone: Text = UNSET

    def __repr__(self) -> str:
        return "RecipientBody(…)"


class RecipientView(Struct, frozen=True):
    """A recipient of the directory. In lists the addresses are masked."""

    id: str
    email: str | None
    phone: str | None
    whatsapp: str | None
    instagram: str | None
    messenger: str | None
    telegram: str | None
    line: str | None
    slack: str | None
    discord: str | None
    teams: str | None
    push: list[PushToken] | None
    webpush: list[dict[str, object]] | None
    webhook: str | None
    locale: str | None
    timezone: str | None
    created_at: Time
    updated_at: Time

    def __repr__(self) -> str:
        return "RecipientView(…)"


class RecipientList(Struct, frozen=True):
    data: list[RecipientView]
    next_cursor: str | None


class RecipientsQuery(PageQuery, frozen=True, kw_only=True):
    pass


class RecipientBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 recipients, each with its `id`. Each is judged alone, and merged into what is known of it."""

    recipients: Annotated[list[Raw], Meta(min_length=1, max_length=1000)]


class RecipientWritten(Struct, frozen=True):
    """What became of one of a batch: its id, or its problem."""

    id: str | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class RecipientResults(Struct, frozen=True):
    """In the order of the batch."""

    results: list[RecipientWritten]


class ErasedView(Struct, frozen=True):
    """What was forgotten of a person. `cancelled`: of their messages, those that will now never be sent."""

    id: str
    messages: int
    cancelled: int


SuppressionReason = Literal["opted_out", "blocked", "invalid_address", "unreachable"]
Address = Annotated[str, Meta(min_length=1, max_length=4096)]


class SuppressionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Who must not be sent to. Without a channel: on every one. `category` `marketing` leaves what is transactional alone."""

    address: Address
    channel: Word | UnsetType = UNSET
    reason: SuppressionReason = "opted_out"
    source: Source = "manual"
    category: Extent = "all"
    expires_at: Time | UnsetType = UNSET

    def __repr__(self) -> str:
        return "SuppressionBody(…)"


class SuppressionView(Struct, frozen=True):
    """One of the list. The address is kept nowhere: it is known by a keyed hash, and shown masked. `channel` null: on all of
    them. `shared`: it holds for every tenant, for the person told a sender to stop that tenants share."""

    id: str
    channel: str | None
    address: str
    reason: SuppressionReason
    source: Source
    category: Extent
    shared: bool
    created_at: Time
    expires_at: Time | None


class SuppressionList(Struct, frozen=True):
    data: list[SuppressionView]
    next_cursor: str | None


class SuppressionsQuery(PageQuery, frozen=True, kw_only=True):
    """`shared`: those that hold for every tenant; for the tenant `default` only."""

    channel: Word | UnsetType = UNSET
    reason: SuppressionReason | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    shared: bool = False


class SuppressionSearch(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to look up, and on which channel; without one: on any."""

    address: Address
    channel: Word | UnsetType = UNSET

    def __repr__(self) -> str:
        return "SuppressionSearch(…)"


class SuppressionsFound(Struct, frozen=True):
    """All that forbids this tenant to send to that address; empty where nothing does."""

    data: list[SuppressionView]
