"""What stores keep and are asked to do: rows as structs, and the requests and answers of the ports.

Times are integers, milliseconds since 1970 (UTC). Nothing here decides. The rows are array-like: stores read them from
JSON arrays in the order of their fields.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sendwright.model.notification import Category, OnDoubt, Priority
from sendwright.model.parcel import FIRST, FRESH, WITH_DATA, Parcel, Round, Step
from sendwright.model.said import Said, is_filled_in
from sendwright.model.states import AttemptState, MessageState

T = TypeVar("T")

CONTRADICTED = "message.contradicted"
"""The event of a failure that was reported after the delivery: noted, and nothing else."""
UNCONFIRMED = "message.unconfirmed"
"""The event of a message that a provider took, and of which it has not reported in its time."""


class Wait(Struct, frozen=True, array_like=True):
    """Why a message waits, and until when. One message has at most one.

    `key` says who pulls it: `time` rows are promoted when `due_at` has come; rows of any other key when that key is
    open, in the order they came, and at `due_at` (their expiry) at the latest.
    """

    kind: str
    """`time`, `provider`, `rate`, `window`; as the contract's `waiting_for.kind`."""
    due_at: int | None
    """None: only by pull."""
    key: str = "time"
    name: str | None = None
    """The provider it waits for, where it is one."""
    until: int | None = None
    """When that is expected to end, for people."""
    serial: int = 0
    """Given by the store: a message that is parked anew has another."""


class Birth(Struct, frozen=True):
    """A planned message, as its first row."""

    id: str
    steps: tuple[Step, ...]
    state: MessageState
    recipient: str | None = None
    """The recipient's id, where there is one."""
    wait: Wait | None = None
    reason: str | None = None
    detail: str = ""
    about: dict[str, Any] | None = None
    """What templates see as `recipient`; None where there are none."""
    provider: str | None = None
    """Who may have sent it, where it is in doubt at birth and that is known."""


class Plan(Struct, frozen=True):
    """A notification and its messages, to be written at once; the first committed plan wins."""

    id: str
    tenant: str
    at: int
    priority: Priority
    category: Category
    on_doubt: OnDoubt
    content: Said
    births: tuple[Birth, ...]
    send_at: int | None = None
    expires_at: int | None = None
    metadata: dict[str, str] = {}
    key: str | None = None
    """The caller's idempotency key, for looking it up."""
    process: str = ""
    number: int = 0
    trace: str | None = None
    type: str | None = None
    """With its version, as `order.shipped@3`."""


class Claim(Struct, frozen=True):
    """A wish to send: granted by one row, or not at all."""

    parcel: Parcel
    provider: str
    token: str
    """The claimer's own, never used twice."""
    owner: str
    """The worker's incarnation, as in the registry."""
    epoch: int
    """Of the switches and routes under which it was decided."""
    now: int
    deadline_at: int
    """When the call is over at the latest."""
    by_ref: bool = True
    """Its receipts may have to be found by the provider's reference: that provider does not echo our id."""
    repeats: int = 0
    """The number of the attempt whose call it says once more, under an idempotency key that the provider knows; 0: none."""
    look_at: int | None = None
    """When its provider is asked what became of it, should no receipt have come by then; None: never."""
    marks: tuple[str, ...] = ()
    """The keyed hashes of its address: no claim is granted for one that stands on the list of suppressions."""
    call: str | None = None
    """The id of the call that it shares with other messages; None: its call is its own."""
    spared: str = ""
    """The one entry of that list that is not held against it: whoever stops, and asks, may be answered."""


class Claimed(Struct, frozen=True):
    attempt: str
    number: int


class Refused(Struct, frozen=True):
    """No row, no send. `why` is `gone`, `state`, `number`, `expired`, `epoch` or `suppressed`, then with the reason on the list."""

    why: str
    reason: str = ""


class Decision(Struct, frozen=True):
    """What the engine wants of the message after this outcome; only the holder of the claim may have it so."""

    state: MessageState
    step: int
    calls: int = 0
    backoff_s: float = 0
    round: Round = FRESH
    wait: Wait | None = None
    reason: str | None = None
    detail: str = ""


class Unheard(NamedTuple):
    """A call that was taken, of which no receipt has come in its time."""

    attempt: str
    provider: str
    ref: str
    """The provider's own id of it."""


class Lost(NamedTuple):
    """A call whose answer was lost: whose, by which attempt, and when it began at the earliest, in ms since 1970."""

    provider: str
    number: int
    began_at: int


class Patience(Struct, frozen=True):
    """How a provider's lost answers are settled, in ms."""

    wait_ms: int
    """How long a doubt rests, for a receipt to come, before it is sent again."""
    key_ms: int = 0
    """How long it knows a repeat by its idempotency key; 0: it never does."""


class Settlement(Struct, frozen=True):
    """The outcome of a claimed attempt: evidence, which always joins, and a decision, which is fenced."""

    attempt: str
    message: str
    number: int
    token: str
    state: AttemptState
    decision: Decision
    at: int
    ref: str | None = None
    reason: str | None = None
    detail: str = ""
    lasting: bool = True
    """What it says of the address holds whoever sends to it."""


class MessageRecord(Struct, frozen=True, array_like=True):
    """A message's row."""

    id: str
    tenant: str
    state: MessageState
    step: int
    number: int
    steps: tuple[Step, ...]
    priority: Priority
    on_doubt: OnDoubt
    accepted_at: int
    updated_at: int
    calls: int = 0
    backoff_s: float = 0
    round: Round = FRESH
    recipient: str | None = None
    channel: str | None = None
    address: str | None = None
    provider: str | None = None
    token: str | None = None
    expires_at: int | None = None
    reason: str | None = None
    detail: str = ""
    doubled: bool = False
    """More than one attempt may have been taken by a provider."""
    dead: bool = False
    """Listed in the dead letters."""
    since: int = 0
    """The number of the last attempt before a person had the message sent again: its plan counts from there."""
    about: dict[str, Any] | None = None
    """What templates see as `recipient`."""
    wait: Wait | None = None

    @property
    def addressed(self) -> bool:
        """Whether there is anywhere to send it. There is not where nobody knew an address, or the person was erased."""
        return any(step.address for step in self.steps)

    def late(self, now: int) -> bool:
        """Whether its deadline has passed: it is never sent any more."""
        return self.expires_at is not None and self.expires_at <= now

    def stands_as(self, seen: MessageRecord) -> bool:
        """Whether nothing was sent and nothing was decided of it since it was seen so."""
        return (self.state, self.number, self.dead) == (seen.state, seen.number, seen.dead)

    def __repr__(self) -> str:
        return f"MessageRecord({self.id}, {self.state}, step={self.step}, number={self.number})"


def parcel_of(message: MessageRecord, content: Said, trace: str | None = None, category: Category = "transactional") -> Parcel:
    """The parcel that sends this message from where it stands now."""
    parcel = Parcel(
        id=message.id,
        tenant=message.tenant,
        steps=message.steps,
        content=content,
        at=message.accepted_at,
        priority=message.priority,
        step=message.step,
        number=message.number,
        calls=message.calls,
        backoff_s=message.backoff_s,
        round=message.round,
        since=message.since,
        on_doubt=message.on_doubt,
        expires_at=message.expires_at,
        wait=message.wait.serial if message.wait else 0,
        trace=trace,
        category=category,
    )
    return replace(parcel, about=message.about, v=WITH_DATA) if is_filled_in(content) else parcel


class AttemptRecord(Struct, frozen=True, array_like=True):
    """An attempt's row."""

    id: str
    message: str
    number: int
    step: int
    channel: str
    provider: str
    state: AttemptState
    started_at: int
    deadline_at: int
    finished_at: int | None = None
    owner: str | None = None
    ref: str | None = None
    reason: str | None = None
    """Why it stands as it does; of what has arrived, which failure was said of it all the same."""
    detail: str = ""
    twice: bool = False
    """Its provider named it by two references: it took one call for two messages."""
    repeats: int = 0
    """The number of the attempt whose call it said once more, under an idempotency key that its provider knew; 0: none."""
    call: str | None = None
    """The id of the call that it was to share with others' attempts; None: its call was its own."""


class NotificationRecord(Struct, frozen=True):
    """A notification's row. `messages` counts what it was planned into."""

    id: str
    tenant: str
    at: int
    priority: Priority
    category: str
    on_doubt: OnDoubt
    content: Said | None
    messages: int
    counts: dict[MessageState, int]
    send_at: int | None = None
    expires_at: int | None = None
    metadata: dict[str, str] = {}
    key: str | None = None
    cancelled_at: int | None = None
    type: str | None = None


class Event(Struct, frozen=True, array_like=True):
    """Something that happened, as a row of the transaction in which it did. `seq` orders them all."""

    seq: int
    at: int
    tenant: str
    type: str
    """`notification.accepted`, `message.sent` …; see docs/events.md."""
    notification: str
    message: str | None = None
    detail: str = ""


class Offer(Struct, frozen=True):
    """A notification to be made durable."""

    id: str
    tenant: str
    at: int
    priority: Priority
    body: bytes
    key: str | None = None
    fingerprint: bytes = b""
    """Hash of the canonical payload; with a key, another fingerprint is a conflict."""
    trace: str | None = None
    repeat: bool = False
    """Only to hear what its key stands for: where that is nothing, nothing is taken."""
    aside: bool = False
    """Past a crowd of other tenants' on the intake lane."""
    v: int = FIRST
    """The version of its parcel."""

    def __repr__(self) -> str:
        return f"Offer({self.id})"


class Taken(Struct, frozen=True):
    """Durable, now or (`replayed`) by an earlier request with the same key."""

    id: str
    replayed: bool = False


class Conflict(Struct, frozen=True):
    """The key was used with another body."""


class Absent(Struct, frozen=True):
    """A repeat whose key stands for nothing (any more)."""


class Running(Struct, frozen=True):
    """The first request with this key is still on its way."""

    after_s: float = 1.0


class Sighted(Struct, frozen=True):
    """What a receipt moved: nothing, an attempt, or the message too."""

    message: str | None = None
    before: MessageState | None = None
    after: MessageState | None = None
    poke: bool = False
    """A row came due by it: the promoter has work."""


class Cancelled(Struct, frozen=True):
    """`unplanned` counts notifications whose messages do not exist yet: they will be born cancelled."""

    cancelled: int = 0
    too_late: int = 0
    unplanned: int = 0


class Switch(Struct, frozen=True):
    """What was set at run time for one provider; None leaves the file's word."""

    provider: str
    enabled: bool | None = None
    weight: int | None = None
    rate: str | None = None
    concurrency: int | None = None


SWITCHED = Switch.__struct_fields__[1:]
"""What can be switched: a switch's members but for the name."""


class Order(Struct, frozen=True):
    """The providers of a channel's route as they were set at run time, first choice first; None goes back to the file's."""

    channel: str
    providers: tuple[str, ...] | None


class Page(Struct, frozen=True):
    """Which rows of a list: filters, and where to go on. A page may be short of `limit` and still not be the last."""

    tenant: str
    limit: int = 50
    before: str | None = None
    """Only ids smaller than this one (lists go from new to old)."""
    since: int | None = None
    until: int | None = None
    notification: str | None = None
    state: MessageState | None = None
    channel: str | None = None
    provider: str | None = None
    recipient: str | None = None
    reason: str | None = None
    doubled: bool | None = None
    dead: bool | None = None
    key: str | None = None
    type: str | None = None
    """A type's name, or one of its versions (`order.shipped@3`)."""


class Listed(Struct, Generic[T], frozen=True):
    rows: tuple[T, ...]
    next: str | None
    """The `before` of the next page, or None when this was the last."""


class DeadParcel(Struct, frozen=True):
    """A parcel that was put aside. `problem` is as it was found, and may quote the parcel: mask what is shown."""

    id: str
    lane: str
    at: int
    """When it was kept. It rises when the same parcel is kept again."""
    problem: str
    size: int
    """Bytes."""

    def __repr__(self) -> str:
        return f"DeadParcel({self.id}, {self.lane}, size={self.size})"


class Violation(Struct, frozen=True):
    """Something that the recount could not explain. `id` names it; a gap has its process and number."""

    kind: str
    id: str
    detail: str = ""


class Audit(Struct, frozen=True):
    """The recount: both ways' figures, and every id that is neither settled nor in flight."""

    accepted: int
    planned: int
    waiting: int
    """Accepted and not yet planned: on the intake lanes, or kept among the dead parcels."""
    messages: int
    by_state: dict[str, int]
    violations: tuple[Violation, ...]
