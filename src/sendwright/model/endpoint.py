"""Endpoints: the operator's own services, to which events are posted, and the postings that are on their way there.

A posting is one event for one endpoint. Its id, which receivers know it by, is a function of the two: whoever writes it down twice
has written it down once.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct

ENDPOINT = "end_"
EVENT = "evt_"
RANDOM_BYTES = 16
"""Of an endpoint's id."""
SECRET_BYTES = 32

TYPES = (
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
)
"""What an endpoint may ask for."""
TEST = "endpoint.test"
"""The type of what is posted to see whether it arrives."""

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
PAUSED, GONE, FAILING = "paused", "gone", "failing"
"""Why nothing is posted to an endpoint: somebody switched it off, it answered 410, everything failed for days."""

TRIES_KEPT = 20
"""Of each posting, the last ones."""

Place = tuple[int, str]
"""Where a list of endpoints goes on: when the last one that was shown was made, and its id."""


class Endpoint(Struct, frozen=True):
    """One service of the operator's. Times in ms since 1970; secrets are sealed (engine/sealing.py)."""

    id: str
    tenant: str
    url: str
    description: str
    types: tuple[str, ...]
    """Empty: all of them."""
    secret: bytes
    previous: bytes | None
    """The secret of before: it signs too, until `previous_until`."""
    previous_until: int | None
    disabled_for: str | None
    """`paused`, `gone` or `failing`; None while it is posted to."""
    created_at: int
    seen: int
    """The number of the last event that was looked at for it."""
    failing_since: int | None = None
    """When the row of failures began that has not ended yet."""
    failed_at: int | None = None
    """The last one."""
    version: int = 1
    """Raised by each change that is not the stream's own, and where a person of the tenant is erased."""

    def __repr__(self) -> str:
        return f"Endpoint({self.id})"

    def wants(self, type_: str) -> bool:
        return type_ in (self.types or TYPES)


class Try(Struct, frozen=True):
    """One post, and what came of it. `status` is None where no whole answer came."""

    at: int
    status: int | None
    said: str
    """The first characters of the answer, masked; or how it failed."""
    ms: int


class Posting(Struct, frozen=True):
    """One event on its way to one endpoint."""

    id: str
    endpoint: str
    seq: int
    """The event's number."""
    type: str
    subject: str
    """The message, notification or reply that it is about: with the person it goes too."""
    at: int
    """When it happened."""
    body: str
    state: str = PENDING
    due_at: int | None = None
    """When it is posted next; None where it is over."""
    count: int = 0
    """Tries so far."""
    began: int = 0
    """How many of them were before it was replayed last."""
    tries: tuple[Try, ...] = ()

    def __repr__(self) -> str:
        return f"Posting({self.id})"


class Tried(Struct, frozen=True):
    """A try that is to be kept: the posting as it is from now on, and what it says of its endpoint."""

    posting: Posting
    at: int
    ok: bool
    gone: bool = False


def posting_id(endpoint: str, seq: int) -> str:
    """Of hexadecimal digits: no dot, which separates it from the timestamp in what is signed."""
    return EVENT + hashlib.blake2b(f"{endpoint}/{seq}".encode(), digest_size=16).hexdigest()


def endpoint_id(randomness: bytes) -> str:
    return ENDPOINT + randomness.hex()
