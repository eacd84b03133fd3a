"""What the API answers and is asked, as structs: the description's schemas are made from them.

Times are RFC 3339 in UTC, money is a decimal string, names are the contract's. An absent value is null, never left out.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from sendwright.model.api_key import TENANT_PATTERN
from sendwright.model.event_types import EVENT_TYPES
from sendwright.policy.duration import DURATION_PATTERN, INSTANT_PATTERN
from sendwright.policy.shortening import Cut
from sendwright.web.api.problems import Problem
from sendwright.web.api.services import RATE_PATTERN, ProviderStanding

StateName = Literal[
    "accepted",
    "scheduled",
    "digesting",
    "queued",
    "sending",
    "in_doubt",
    "sent",
    "failed",
    "expired",
    "cancelled",
    "suppressed",
    "delivered",
    "read",
]
AttemptStateName = Literal["sending", "in_doubt", "sent", "rejected", "failed", "delivered", "read"]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Moment = Annotated[str, Meta(pattern=INSTANT_PATTERN, extra_json_schema={"format": "date-time"})]
"""A time that is given, whose fault is to be listed with all others."""
ScopeName = Literal["send", "read", "admin"]
Word = Annotated[str, Meta(min_length=1, max_length=255)]
DeadId = Annotated[str, Meta(pattern="^(msg_[0-9a-hjkmnp-tv-z]{34}|par_[0-9a-f]{32})$")]
CursorText = Annotated[str, Meta(min_length=1, max_length=512)]

LIST_MAX = 500
Limit = Annotated[int, Meta(ge=1, le=LIST_MAX)]


class Taken(Struct, frozen=True):
    """A notification that is durable."""

    id: str
    state: Literal["accepted"]
    message_count: int


class BatchTaken(Struct, frozen=True):
    """What became of one of a batch: taken, or its problem."""

    id: str | UnsetType = UNSET
    state: Literal["accepted"] | UnsetType = UNSET
    message_count: int | UnsetType = UNSET
    replayed: bool | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class BatchResults(Struct, frozen=True):
    """In the order of the batch."""

    results: list[BatchTaken]


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 notifications, with up to 10,000 messages in all."""

    notifications: Annotated[list[Raw], Meta(min_length=1, max_length=1000)]


class ReasonView(Struct, frozen=True):
    """Why: a code of the closed list, and the vendor's own words."""

    code: str
    detail: str


class WaitingFor(Struct, frozen=True):
    """What a message waits for, and until when, where that is known."""

    kind: Literal["provider", "rate", "window", "time"]
    name: str | None
    until: Time | None


class AttemptView(Struct, frozen=True):
    """One call of one provider."""

    id: str
    number: int
    channel: str
    provider: str
    state: AttemptStateName
    ref: str | None
    started_at: Time
    finished_at: Time | None
    cost: str | None
    reason: ReasonView | None
    call_id: str | None
    """The same for attempts of one call that carried several messages; null where it carried this one alone."""


class TimelineEntry(Struct, frozen=True):
    """Something that happened to a message."""

    at: Time
    event: str
    detail: str


class MessageView(Struct, frozen=True):
    """One recipient's copy of a notification, with the notification's metadata. The address is whole only where the message
    is asked for by its id. `channel`, `address` and `provider` are those of the call that was taken or is in doubt, else of `step`:
    the provider is null until one is asked there."""

    id: str
    notification: str
    metadata: dict[str, str]
    recipient: str | None
    address: str | None
    state: StateName
    step: int
    channel: str | None
    provider: str | None
    reason: ReasonView | None
    waiting_for: WaitingFor | None
    cost: str | None
    currency: str | None
    updated_at: Time
    attempts: list[AttemptView]
    timeline: list[TimelineEntry]


class MessageList(Struct, frozen=True):
    data: list[MessageView]
    next_cursor: str | None


class NotificationView(Struct, frozen=True):
    """A notification. `priority` and `category` are null until it is planned. More messages: `?cursor=messages_cursor`."""

    id: str
    type: str | None
    state: StateName
    counts: dict[str, int]
    priority: Literal["critical", "high", "normal", "bulk"] | None
    category: Literal["transactional", "marketing"] | None
    metadata: dict[str, str]
    created_at: Time
    send_at: Time | None
    expires_at: Time | None
    messages: list[MessageView]
    messages_cursor: str | None


class NotificationList(Struct, frozen=True):
    data: list[NotificationView]
    next_cursor: str | None


class CancelledView(Struct, frozen=True):
    """`cancelled`: will never be sent. `too_late`: was, is being or may have been. `unplanned`: will be born cancelled."""

    cancelled: int
    too_late: int
    unplanned: int


class Moved(Struct, frozen=True):
    """A message, and the state that it has now."""

    id: str
    state: StateName


class Resolution(Struct, frozen=True, forbid_unknown_fields=True, rename={"verdict": "as"}):
    """A person's word on a message in doubt."""

    verdict: Literal["sent", "resend", "failed"]


class DeadRow(Struct, frozen=True):
    """One dead letter."""

    kind: Literal["message"]
    id: str
    notification: str
    recipient: str | None
    address: str | None
    channel: str | None
    provider: str | None
    reason: ReasonView | None
    updated_at: Time
    metadata: dict[str, str]


class DeadCause(Struct, frozen=True):
    """How many of this tenant's dead letters ended alike."""

    channel: str
    reason: str
    provider: str
    count: int


class ParcelRow(Struct, frozen=True):
    """A parcel that no worker could read, or that broke its story every time; or (`ingress`) what a producer published to
    the bus that is no notification, with its problem document. `size` counts its bytes."""

    kind: Literal["parcel", "ingress"]
    id: str
    lane: str
    at: Time
    problem: str
    size: int


class DeadList(Struct, frozen=True):
    """`parcels`: the newest 100, whatever the filters say; on the first page, and for the tenant `default` only."""

    data: list[DeadRow]
    causes: list[DeadCause]
    parcels: list[ParcelRow]
    next_cursor: str | None


class DeadFilters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters: those that match every member. None given: all of the tenant's."""

    notification: Word | UnsetType = UNSET
    channel: Word | UnsetType = UNSET
    provider: Word | UnsetType = UNSET
    recipient: Word | UnsetType = UNSET
    reason: Word | UnsetType = UNSET
    since: Time | UnsetType = UNSET
    until: Time | UnsetType = UNSET


class DeadSelection(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of the two: ids of messages and of parcels, or filters, which parcels never match."""

    ids: Annotated[list[DeadId], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET
    filters: DeadFilters | UnsetType = UNSET


OneSelection = Annotated[DeadSelection, Meta(extra_json_schema={"minProperties": 1, "maxProperties": 1})]


class Handled(Struct, frozen=True):
    """`done` were handled, `skipped` were not. `more`: call again with the same filters."""

    done: int
    skipped: int
    more: bool
    skipped_for: dict[str, int]
    """How many were skipped why: `not_found`, `not_dead`, `nothing_to_send` (it never had an address), `arrived`,
    `expired` (it is past its deadline), `in_flight`, `content_gone` (what it said is forgotten), and of parcels `unreadable`."""


class ProviderList(Struct, frozen=True):
    data: list[ProviderStanding]
    next_cursor: str | None


class TrialWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a test goes to. Kinds that reach nobody (`sandbox`, `console`) need no address."""

    to: Annotated[str, Meta(min_length=1, max_length=2048)] | UnsetType = UNSET


class ViolationView(Struct, frozen=True):
    """Something that the recount could not explain."""

    kind: str
    id: str
    detail: str


class AuditView(Struct, frozen=True):
    """The recount, by two independent ways."""

    ok: bool
    accepted: int
    planned: int
    waiting: int
    messages: int
    by_state: dict[str, int]
    violations: list[ViolationView]


class Alive(Struct, frozen=True):
    status: Literal["ok"]


class KeyWish(Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made. Without a `tenant` it is the caller's; without `expires_at` it lives until it is revoked."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern="^[^\\u0000-\\u001f\\u007f]*$")]
    scopes: Annotated[list[ScopeName], Meta(min_length=1, max_length=3)]
    tenant: Annotated[str, Meta(pattern=TENANT_PATTERN)] | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    rate: Annotated[str, Meta(pattern=RATE_PATTERN)] | UnsetType | None = UNSET


class KeyView(Struct, frozen=True):
    """A key, without what would let anybody in by it. `last_used_at` is right to about a minute."""

    id: str
    name: str
    tenant: str
    scopes: list[ScopeName]
    rate: str | None
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class MadeKey(KeyView, frozen=True):
    """A new key. `key` is shown this once."""

    key: str


class KeyList(Struct, frozen=True):
    data: list[KeyView]
    next_cursor: str | None


class PageQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = 50
    cursor: CursorText | UnsetType = UNSET


class NotificationQuery(Struct, frozen=True, kw_only=True):
    cursor: CursorText | UnsetType = UNSET


class NotificationsQuery(PageQuery, frozen=True, kw_only=True):
    state: StateName | UnsetType = UNSET
    type: Word | UnsetType = UNSET
    idempotency_key: Word | UnsetType = UNSET
    since: Time | UnsetType = UNSET
    until: Time | UnsetType = UNSET


class MessagesQuery(PageQuery, frozen=True, kw_only=True):
    notification: Word | UnsetType = UNSET
    state: StateName | UnsetType = UNSET
    channel: Word | UnsetType = UNSET
    provider: Word | UnsetType = UNSET
    recipient: Word | UnsetType = UNSET
    since: Time | UnsetType = UNSET
    until: Time | UnsetType = UNSET
    doubled: bool | UnsetType = UNSET


class DeadQuery(PageQuery, frozen=True, kw_only=True):
    notification: Word | UnsetType = UNSET
    channel: Word | UnsetType = UNSET
    provider: Word | UnsetType = UNSET
    recipient: Word | UnsetType = UNSET
    reason: Word | UnsetType = UNSET
    since: Time | UnsetType = UNSET
    until: Time | UnsetType = UNSET


class ProvidersQuery(PageQuery, frozen=True, kw_only=True):
    pass


class KeysQuery(PageQuery, frozen=True, kw_only=True):
    pass


_TYPE = f"({'|'.join(re.escape(type_) for type_ in EVENT_TYPES)})"


class EventsQuery(Struct, frozen=True, kw_only=True):
    types: Annotated[str, Meta(max_length=1000, pattern=f"^{_TYPE}(,{_TYPE})*$")] | UnsetType = UNSET


JsonObject = dict[str, Any]


class TokenWish(Struct, frozen=True, forbid_unknown_fields=True):
    """How long a recipient's token is to be good: an hour unless given, a day at the most."""

    ttl: Annotated[str, Meta(pattern=DURATION_PATTERN)] | UnsetType = UNSET


class MadeToken(Struct, frozen=True):
    """A recipient's token: `Authorization: Bearer <token>` for `/v1/inbox`, from the person's own app."""

    token: str
    expires_at: Time


class InboxQuery(PageQuery, frozen=True, kw_only=True):
    """`view`: `all` is what is neither archived nor snoozed."""

    view: Literal["all", "unread", "archived", "snoozed"] = "all"


class InboxAction(Struct, frozen=True):
    """A button."""

    id: str
    label: str
    url: str | None


class InboxItemView(Struct, frozen=True):
    """One message in the inbox. The id is the message's."""

    id: str
    title: str | None
    body: str
    url: str | None
    icon: str | None
    actions: list[InboxAction]
    data: dict[str, Any]
    created_at: Time
    read_at: Time | None
    archived_at: Time | None
    snoozed_until: Time | None


class InboxList(Struct, frozen=True):
    """Newest first. `unread` counts what is neither archived nor snoozed."""

    data: list[InboxItemView]
    unread: int
    next_cursor: str | None


class InboxCount(Struct, frozen=True):
    """Of what is neither archived nor snoozed."""

    unread: int
    total: int


class InboxMark(Struct, frozen=True, forbid_unknown_fields=True, rename={"mark": "as"}):
    """What becomes of some items, or of `all` that are neither archived nor snoozed. `restored`: neither archived nor snoozed any
    more. `until` goes with `snoozed`."""

    mark: Literal["read", "unread", "archived", "restored", "snoozed"]
    ids: Annotated[list[Word], Meta(min_length=1, max_length=500)] | UnsetType = UNSET
    all: bool | UnsetType = UNSET
    until: Time | UnsetType = UNSET


class InboxMarked(Struct, frozen=True):
    """Those that it changed, and how many are unread now."""

    ids: list[str]
    unread: int


class FileView(Struct, frozen=True):
    """A file that travelled inside a message. `size` is about its bytes; what is in it is not shown."""

    filename: str
    content_type: str
    size: int


class ContentView(Struct, frozen=True):
    """What a message says on its channel, as its recipient gets it. `own` is what is said for this channel alone."""

    channel: str | None
    title: str | None
    body: str
    html: str | None
    url: str | None
    media: list[str]
    files: list[FileView]
    own: dict[str, Any] | None
    shortened: Cut | None
    """How much was left out, since the text was too long for the channel."""
