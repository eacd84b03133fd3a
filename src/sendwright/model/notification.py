"""What a caller asks for, as it is posted: the payload's structs; and how the whole of it stands.

Shapes and field names are the contract's (`GET /v1/schema/notification.json` is made from them). What is not a field
here is refused at the door. Meaning that needs more than a shape (is that a telephone number?) is `policy/admission.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from sendwright.model.content import Content
from sendwright.model.said import Said
from sendwright.model.states import MessageState, notification_state


class Priority(IntEnum):
    """Smaller goes first. The label is what people write."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    BULK = 3

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = tuple(name.lower() for name in Priority.__members__)
PRIORITIES = {p.label: p for p in Priority}

Category = Literal["transactional", "marketing"]
OnDoubt = Literal["resend", "hold"]


class PushToken(Struct, frozen=True, forbid_unknown_fields=True):
    """One device of a recipient."""

    token: str
    kind: Literal["fcm", "apns", "expo"] = "fcm"


class Recipient(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An inline recipient: an id, addresses, or both."""

    id: str | None = None
    email: str | None = None
    phone: str | None = None
    whatsapp: str | None = None
    instagram: str | None = None
    messenger: str | None = None
    telegram: str | None = None
    line: str | None = None
    slack: str | None = None
    discord: str | None = None
    teams: str | None = None
    push: list[PushToken] | None = None
    webpush: list[dict[str, object]] | None = None
    webhook: str | None = None
    locale: str | None = None
    timezone: str | None = None

    def __repr__(self) -> str:
        return "Recipient(…)"


class Unaddressed(Recipient, frozen=True):
    """A recipient whom the directory knows, and no address of."""


class Payload(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/notifications`, and of a message on the public intake queue."""

    to: str | Recipient | list[str | Recipient]
    content: Content | UnsetType = UNSET
    """This or `type`."""
    type: str | UnsetType = UNSET
    data: dict[str, Any] | UnsetType = UNSET
    channels: list[str] | UnsetType = UNSET
    priority: Literal["critical", "high", "normal", "bulk"] = "normal"
    category: Category = "transactional"
    send_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    ttl: str | UnsetType = UNSET
    on_doubt: OnDoubt | UnsetType = UNSET
    idempotency_key: str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET

    def __repr__(self) -> str:
        return "Payload(…)"

    def recipients(self) -> list[str | Recipient]:
        """Each once, in order: the same id, or an equal inline recipient, twice is one message."""
        if not isinstance(self.to, list):
            return [self.to]
        seen: dict[object, str | Recipient] = {}
        for entry in self.to:
            same = _identity(entry)
            seen[same] = _both(seen[same], entry) if same in seen else entry
        return list(seen.values())


class Stored(Payload, frozen=True):
    """A payload as it was accepted: what its type says, in its version of then, is part of it."""

    content: Said

    def __repr__(self) -> str:
        return "Stored(…)"


def state_of(messages: Collection[MessageState], *, cancelled: bool) -> MessageState:
    """A notification's state, by the states of its messages. One that was cancelled before it had any is cancelled: they
    will be born so."""
    return MessageState.CANCELLED if cancelled and not messages else notification_state(list(messages))


def _identity(entry: str | Recipient) -> object:
    """What is equal for what is one recipient: the id where there is one, or else everything that an inline one says."""
    if isinstance(entry, str):
        return entry
    return (repr(_fields(entry)),) if entry.id is None else entry.id


def _both(one: str | Recipient, other: str | Recipient) -> str | Recipient:
    """What is said of one person in two places: the later word counts, as it does in the directory."""
    if isinstance(one, str) or isinstance(other, str):
        return one if isinstance(other, str) else other
    return replace(one, **{name: value for name in Recipient.__struct_fields__ if (value := getattr(other, name)) is not None})


def _fields(recipient: Recipient) -> list[object]:
    return [
        [(t.token, t.kind) for t in recipient.push or ()] if name == "push" else getattr(recipient, name)
        for name in Recipient.__struct_fields__
    ]
