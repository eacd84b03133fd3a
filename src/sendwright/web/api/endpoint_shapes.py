"""What calls on endpoints are asked and answer, as structs. As in shapes.py: an absent value is null, never left out."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from sendwright.web.api.shapes import PageQuery, Time

EventType = Literal[
    "notification.accepted",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.failed",
    "message.expired",
    "message.cancelled",
    "message.suppressed",
    "message.in_doubt",
    "message.bounced",
    "message.complained",
    "message.clicked",
    "message.unsubscribed",
    "reply.received",
    "provider.opened",
    "provider.closed",
    "provider.misconfigured",
    "token.expiring",
]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
Description = Annotated[str, Meta(max_length=200, pattern="^[^\\u0000-\\u001f\\u007f]*$")]
Types = Annotated[list[EventType], Meta(max_length=50)]
DeliveryId = Annotated[str, Meta(pattern="^evt_[0-9a-f]{32}$")]
DeliveryState = Literal["pending", "delivered", "failed"]

REPLAY_MAX = 500


class EndpointWish(Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint to be made. Without `types` it gets all of them."""

    url: Url
    description: Description = ""
    types: Types = []
    enabled: bool = True


class EndpointPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """What changes; what is left out stays. One that is enabled again goes on where it stopped."""

    url: Url | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    types: Types | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class EndpointView(Struct, frozen=True):
    """An endpoint, without its secret. `disabled_for`: somebody's word, an answer of 410, or five days of failures."""

    id: str
    url: str
    description: str
    types: list[str]
    enabled: bool
    disabled_for: Literal["paused", "gone", "failing"] | None
    failing_since: Time | None
    created_at: Time
    previous_secret_until: Time | None
    """Until when the secret of before signs too."""


class MadeEndpoint(EndpointView, frozen=True):
    """An endpoint with a new secret, which is shown this once."""

    secret: str


class EndpointList(Struct, frozen=True):
    data: list[EndpointView]
    next_cursor: str | None


class EndpointsQuery(PageQuery, frozen=True, kw_only=True):
    pass


class DeliveriesQuery(PageQuery, frozen=True, kw_only=True):
    state: DeliveryState | UnsetType = UNSET


class TryView(Struct, frozen=True):
    """One post. `status` is null where no whole answer came; `detail`: the beginning of the answer, masked, or how it failed."""

    at: Time
    status: int | None
    detail: str
    ms: int


class DeliveryView(Struct, frozen=True):
    """One event for this endpoint. The id is its `webhook-id`; of its tries the last twenty are kept."""

    id: str
    type: str
    timestamp: Time
    state: DeliveryState
    next_try_at: Time | None
    try_count: int
    tries: list[TryView]


class DeliveryList(Struct, frozen=True):
    data: list[DeliveryView]
    next_cursor: str | None


class ReplayWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Which deliveries: those of these ids that are over, or, without ids, up to 500 that failed."""

    ids: Annotated[list[DeliveryId], Meta(min_length=1, max_length=REPLAY_MAX)] | UnsetType = UNSET


class Replayed(Struct, frozen=True):
    """Those that are posted again. `more`: call again."""

    ids: list[str]
    more: bool


class EndpointTrial(Struct, frozen=True):
    """What came of a test event."""

    ok: bool
    status: int | None
    detail: str
    ms: int
