"""Notices: what the operator is told of the providers themselves. They are events of no message, and of the operator's tenant.

`detail` of such an event is all that is told of it, as JSON; its subject is the notice's id.
"""

from __future__ import annotations

from msgspec import Struct

from sendwright.model.people import REPLIED

OPERATOR = "default"
"""The tenant of whoever runs this installation: providers are theirs, whoever sends by them."""

OPENED = "provider.opened"
CLOSED = "provider.closed"
MISCONFIGURED = "provider.misconfigured"
EXPIRING = "token.expiring"

SPOKEN_FOR = frozenset({REPLIED, OPENED, CLOSED, MISCONFIGURED, EXPIRING})
"""The types of events whose detail is all that is told of them, as JSON."""


class About(Struct, frozen=True):
    """Which provider a notice is about, as people know it."""

    provider: str
    kind: str
    channels: tuple[str, ...]


class Stand(Struct, frozen=True):
    """What is told of a breaker: whether the provider is left alone, and whether that is for its account."""

    shut: bool = False
    misconfigured: bool = False


class Notice(Struct, frozen=True):
    """One event to be written."""

    id: str
    type: str
    at: int
    told: str


class Credential(Struct, frozen=True):
    """What is known of the life of a provider's credential, which a person must renew. Every change raises its version."""

    provider: str
    version: int = 0
    ends_at: int | None = None
    """None: it has no end, or it is not known."""
    ask_at: int = 0
    """When the vendor is asked next."""
    told: int | None = None
    """The fewest days before this end of which the operator has been told."""
