"""What the engine says about itself: a few frozen structs. Logs, metrics and traces subscribe; stories only tell."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sendwright.model.notification import Priority
from sendwright.model.states import MessageState


class Accepted(Struct, frozen=True):
    """A notification was made durable (or found so, by its key)."""

    replayed: bool


class Written(Struct, frozen=True):
    """A message's first byte left, `latency_s` after it was accepted."""

    priority: Priority
    latency_s: float


class Attempted(Struct, frozen=True):
    """A call came to an outcome: `accepted`, `rejected`, `later`, `unsure` or `misconfigured`."""

    channel: str
    provider: str
    outcome: str
    seconds: float


class Settled(Struct, frozen=True):
    """A message's state after an outcome or a receipt."""

    message: str
    state: MessageState


class Parked(Struct, frozen=True):
    """A message waits: for a time, or under a key."""

    key: str
    retry: bool


class Duplicate(Struct, frozen=True):
    """A parcel was refused by its row: sent already, cancelled, overtaken or switched."""

    why: str


class BreakerMoved(Struct, frozen=True):
    provider: str
    state: str
    why: str


class Trouble(Struct, frozen=True):
    """Something that an operator should see. Holds no address, content or secret."""

    where: str
    what: str


class EndpointPosted(Struct, frozen=True):
    """A post to an endpoint of the operator's came to an outcome: `delivered`, `later` (it is tried again), `failed` (it is not any
    more) or `gone` (the answer was 410)."""

    outcome: str


class KeyMoved(Struct, frozen=True):
    """An API key was `made` or `revoked`, by the key with the id `by` (None: the admin key). Ids are no secrets."""

    key: str
    what: str
    by: str | None


Telling = Accepted | Written | Attempted | Settled | Parked | Duplicate | BreakerMoved | Trouble | KeyMoved | EndpointPosted
Tell = Callable[[Telling], None]
