"""Whom the directory knows, who must not be sent to, and what people say back: rows as structs. Nothing here decides.

Times are integers, milliseconds since 1970 (UTC).
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from sendwright.model.notification import Recipient

Source = Literal["bounce", "complaint", "dead_token", "stop", "unsubscribe", "manual"]
Extent = Literal["all", "marketing"]
EVERYBODY = ""
"""The tenant of a suppression that holds for every tenant: somebody told a sender to stop that they share."""
EVERY = ""
"""The channel of a suppression that holds on every channel."""


class Change(Struct, frozen=True):
    """What is to be written of one recipient of the directory."""

    tenant: str
    id: str
    members: dict[str, Any]
    """By name, as JSON has them; None takes a member away. What is not named stays."""
    at: int
    mark: str
    """The keyed hash of the id, by which an erasure is known."""
    whole: bool = False
    """What is not named is taken away."""
    guarded: bool = False
    """Of a notification: it does nothing where the directory was written later than the notification was accepted."""

    def __repr__(self) -> str:
        return f"Change(at={self.at})"


class Known(Struct, frozen=True):
    """A recipient of the directory."""

    recipient: Recipient
    created_at: int
    updated_at: int


class Erased(Struct, frozen=True):
    """What was forgotten of a person: their messages, and how many of those will now never be sent."""

    messages: int = 0
    cancelled: int = 0


class Suppression(Struct, frozen=True):
    """Who must not be sent to, where, why, until when. The address itself is kept nowhere."""

    id: str
    tenant: str
    channel: str
    mark: str
    """The keyed hash of the address (policy/suppression.py)."""
    masked: str
    reason: str
    source: Source
    created_at: int
    category: Extent = "all"
    expires_at: int | None = None

    def __repr__(self) -> str:
        return f"Suppression({self.id})"


How = Literal["said", "preference", "blocked"]
"""How somebody stops or starts: in words; by the vendor's own switch for marketing; by blocking the account."""


class Spoken(Struct, frozen=True, omit_defaults=True):
    """What a person said back, on its way to `observe`."""

    channel: str
    address: str
    text: str = ""
    word: str | None = None
    """`stop`, `start` or `help`, where the provider itself took it for that."""
    payload: str = ""
    """What the sender had put behind the button that was pressed."""
    aliases: tuple[str, ...] = ()
    """Other addresses of the same person on that channel."""
    how: How = "said"
    answered: bool = False
    """It is not for us to answer."""

    def __repr__(self) -> str:
        return f"Spoken({self.channel})"


REPLIED = "reply.received"
"""The event of what a person said back."""


UNSUBSCRIBED = "message.unsubscribed"
"""The event of a message by whose link somebody wanted no more of its kind."""


class Leaving(Struct, frozen=True):
    """Somebody wants no more, by the link of a message."""

    row: Suppression
    message: str


class Heard(Struct, frozen=True):
    """What a person said back, judged."""

    id: str
    """The subject of its event."""
    tenant: str
    """Who is told."""
    provider: str
    ref: str
    """The provider's own id of it."""
    mark: str
    """The keyed hash of the person's address."""
    at: int
    told: str
    """What the event says, as JSON."""
    stops: tuple[Suppression, ...] = ()
    starts: tuple[str, ...] = ()
    """Marks of which everything that was put on the list by a `lifts` is taken off, on this channel."""
    lifts: Source = "stop"
    channel: str = ""
    how: How = "said"
    said_at: str = ""
    """When it was said, RFC 3339: of what one person asked for on one channel in one way, the latest counts. The event says the
    same, under this name, beside `channel`, `how` and `word`."""

    def __repr__(self) -> str:
        return f"Heard({self.id})"


class Hearing(Struct, frozen=True):
    """What came of hearing something."""

    id: str
    """As it was called the first time."""
    at: int
    """When that was."""
    fresh: bool
    """It had not been heard before."""
