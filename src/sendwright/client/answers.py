"""What the API answers, as structs. Times are RFC 3339 texts in UTC, money is a decimal text; unknown members are passed over."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import Struct, field

T = TypeVar("T")


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that was wrong with a request, and where: a JSON pointer, a query parameter or a header."""

    code: str
    detail: str = ""
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None


class Taken(Struct, frozen=True, kw_only=True):
    """A notification that is durable. `replayed`: its key stood for it already."""

    id: str
    state: str = "accepted"
    message_count: int = 0
    replayed: bool = False


class Refused(Struct, frozen=True, kw_only=True):
    """One of a batch that was not taken."""

    status: int
    code: str
    detail: str = ""
    errors: list[Fault] = []


class Reason(Struct, frozen=True, kw_only=True):
    """Why: a code of the closed list, and the vendor's own words."""

    code: str
    detail: str = ""


class Waiting(Struct, frozen=True, kw_only=True):
    """What a message waits for, and until when, where that is known."""

    kind: str
    name: str | None = None
    until: str | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    """One call of one provider."""

    id: str
    number: int
    channel: str
    provider: str
    state: str
    ref: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    cost: str | None = None
    reason: Reason | None = None
    call_id: str | None = None
    """The same for attempts of one call that carried several messages."""


class TimelineEntry(Struct, frozen=True, kw_only=True):
    """Something that happened to a message."""

    at: str
    event: str
    detail: str = ""


class Message(Struct, frozen=True, kw_only=True):
    """One recipient's copy of a notification."""

    id: str
    notification: str
    state: str
    metadata: dict[str, str] = {}
    recipient: str | None = None
    address: str | None = None
    """Whole where the message was asked for by its id, else masked."""
    step: int = 0
    channel: str | None = None
    provider: str | None = None
    reason: Reason | None = None
    waiting_for: Waiting | None = None
    cost: str | None = None
    currency: str | None = None
    updated_at: str | None = None
    attempts: list[Attempt] = []
    timeline: list[TimelineEntry] = []

    def __repr__(self) -> str:
        return f"Message({self.id}, {self.state})"


class Notification(Struct, frozen=True, kw_only=True):
    """A notification with its first hundred messages. `priority` and `category` are None until it is planned."""

    id: str
    state: str
    type: str | None = None
    counts: dict[str, int] = {}
    priority: str | None = None
    category: str | None = None
    metadata: dict[str, str] = {}
    created_at: str | None = None
    send_at: str | None = None
    expires_at: str | None = None
    messages: list[Message] = []
    messages_cursor: str | None = None

    def __repr__(self) -> str:
        return f"Notification({self.id}, {self.state})"


class Cancelled(Struct, frozen=True, kw_only=True):
    """`cancelled`: will never be sent. `too_late`: was, is being or may have been. `unplanned`: will be born cancelled."""

    cancelled: int
    too_late: int
    unplanned: int = 0


class Moved(Struct, frozen=True, kw_only=True):
    """A message, and the state that it has now."""

    id: str
    state: str


class Credential(Struct, frozen=True, kw_only=True):
    """Until when a provider's credential is good that a person must renew."""

    expires_at: str
    days_left: int


class Provider(Struct, frozen=True, kw_only=True):
    """How one provider stands, over all workers."""

    name: str
    kind: str
    channels: list[str]
    enabled: bool
    breaker: str
    weight: int = 1
    in_flight: int = 0
    success_rate: float | None = None
    latency_ms: float | None = None
    rate: str | None = None
    concurrency: int | None = None
    reason: str | None = None
    credential: Credential | None = None


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that exhausted every step."""

    id: str
    notification: str
    kind: str = "message"
    recipient: str | None = None
    address: str | None = None
    channel: str | None = None
    provider: str | None = None
    reason: Reason | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    updated_at: str | None = None

    def __repr__(self) -> str:
        return f"DeadLetter({self.id})"


class Handled(Struct, frozen=True, kw_only=True):
    """`done` were handled, `skipped` were not, and why. `more`: call again with the same filters."""

    done: int
    skipped: int
    more: bool = False
    skipped_for: dict[str, int] = {}


class Event(Struct, frozen=True, kw_only=True):
    """One event of the live stream. `id` is where to resume."""

    id: str
    type: str
    body: dict[str, Any] = field(default_factory=dict)


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    data: list[T]
    next_cursor: str | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """One of a batch's answers."""

    id: str | None = None
    state: str = "accepted"
    message_count: int = 0
    replayed: bool = False
    problem: Refused | None = None

    @property
    def told(self) -> Taken | Refused:
        if self.problem is not None or self.id is None:
            return self.problem or Refused(status=0, code="unreadable")
        return Taken(id=self.id, state=self.state, message_count=self.message_count, replayed=self.replayed)


class Outcomes(Struct, frozen=True, kw_only=True):
    results: list[Outcome]
