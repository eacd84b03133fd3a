"""The rows of the store in memory, and its one writer.

Rows are frozen structs in dictionaries. A transaction writes drafts, which it alone sees; readers look at `rows`, which
change at the commit and all at once. Transactions run one after the other, each to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sendwright.errors import StoreDown
from sendwright.model.api_key import ApiKey
from sendwright.model.endpoint import Endpoint, Posting
from sendwright.model.ids import attempt_id
from sendwright.model.inbox import Item
from sendwright.model.notices import Credential, Stand
from sendwright.model.notification import Priority
from sendwright.model.parcel import Sighting
from sendwright.model.people import Heard, Known, Suppression
from sendwright.model.records import AttemptRecord, Event, MessageRecord, Order, Plan, Switch, Wait
from sendwright.model.sessions import Session
from sendwright.model.states import AttemptState

K = TypeVar("K")
V = TypeVar("V")

FIRST_EPOCH = 1


class NotificationRow(Struct, frozen=True):
    """A planned notification. `messages` are the ids of its messages, in the order of the recipients."""

    plan: Plan
    messages: tuple[str, ...]
    cancelled_at: int | None = None
    forgotten: bool = False
    """Whether what it said is."""


class WaitRow(Struct, frozen=True):
    """A wait. Its serial is its place in the order of arrival: parking anew makes a new one."""

    wait: Wait
    priority: Priority


class KeyRow(Struct, frozen=True):
    """What an idempotency key stands for, and since when (ms since 1970)."""

    id: str
    fingerprint: bytes
    at: int


class Table(Generic[K, V]):
    """Rows by key: `rows` are committed, `get` also sees the running transaction's own."""

    __slots__ = ("_draft", "rows")

    def __init__(self, rows: dict[K, V] | None = None) -> None:
        self.rows: dict[K, V] = rows if rows is not None else {}
        self._draft: dict[K, V | None] = {}

    def get(self, key: K) -> V | None:
        return self._draft[key] if key in self._draft else self.rows.get(key)

    def put(self, key: K, row: V) -> None:
        self._draft[key] = row

    def drop(self, key: K) -> None:
        self._draft[key] = None

    def commit(self) -> None:
        for key, row in self._draft.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self._draft.clear()

    def rollback(self) -> None:
        self._draft.clear()

    def copy(self) -> Table[K, V]:
        return Table(dict(self.rows))


class EventLog:
    """Events in the order of their `seq`, from 1. Appended, until retention takes those of whole notifications."""

    __slots__ = ("_draft", "_gone", "_last", "rows")

    def __init__(self, rows: list[Event] | None = None, last: int = 0) -> None:
        self.rows: list[Event] = rows if rows is not None else []
        self._last = last
        self._draft: list[Event] = []
        self._gone: frozenset[str] = frozenset()

    def append(self, at: int, tenant: str, kind: str, about: tuple[str, str | None], detail: str = "") -> None:
        """`about` is the notification and, where it is one message's event, the message."""
        seq = self._last + len(self._draft) + 1
        self._draft.append(Event(seq, at, tenant, kind, *about, detail))

    def has(self, message: str, kind: str) -> bool:
        """Whether a message has such an event."""
        return any((event.message, event.type) == (message, kind) for event in (*self.rows, *self._draft))

    def forget(self, notifications: Collection[str]) -> None:
        """Drops all events of these notifications."""
        self._gone = frozenset(notifications)

    def commit(self) -> None:
        self.rows.extend(self._draft)
        self._last += len(self._draft)
        if self._gone:
            self.rows[:] = [event for event in self.rows if event.notification not in self._gone]
        self.rollback()

    def rollback(self) -> None:
        self._draft.clear()
        self._gone = frozenset()

    def copy(self) -> EventLog:
        return EventLog(list(self.rows), self._last)


class Tables:
    """Everything that the store keeps."""

    def __init__(self) -> None:
        self.notifications: Table[str, NotificationRow] = Table()
        self.cancellations: Table[tuple[str, str], int] = Table()
        """(tenant, notification) cancelled before it was planned, and when."""
        self.messages: Table[str, MessageRecord] = Table()
        self.attempts: Table[str, AttemptRecord] = Table()
        self.open: Table[str, bool] = Table()
        """The attempts that are `sending`."""
        self.looks: Table[str, int] = Table()
        """When attempts are looked at, should nothing be reported of them."""
        self.by_ref: Table[tuple[str, str], str] = Table()
        """The first attempt that was given a provider's reference."""
        self.waits: Table[str, WaitRow] = Table()
        self.strays: Table[tuple[str, str], tuple[Sighting, ...]] = Table()
        self.keys: Table[tuple[str, str], KeyRow] = Table()
        self.accepted: Table[str, int] = Table()
        """How many notifications each accepting process has numbered."""
        self.forgotten: Table[str, int] = Table()
        """Up to which number retention has forgotten those of each accepting process."""
        self.recipients: Table[tuple[str, str], Known] = Table()
        """By tenant and id."""
        self.erasures: Table[tuple[str, str], int] = Table()
        """When a person was erased, by tenant and mark."""
        self.suppressions: Table[str, Suppression] = Table()
        self.replies: Table[tuple[str, str], Heard] = Table()
        """What was heard, by provider and reference."""
        self.switches: Table[str, Switch] = Table()
        self.routes: Table[str, Order] = Table()
        self.stands: Table[str, Stand] = Table()
        """What the operator has been told of breakers."""
        self.credentials: Table[str, Credential] = Table()
        self.api_keys: Table[str, ApiKey] = Table()
        self.inbox: Table[str, tuple[Item, int]] = Table()
        """With when it was changed last."""
        self.sessions: Table[str, Session] = Table()
        self.endpoints: Table[str, Endpoint] = Table()
        self.postings: Table[str, Posting] = Table()
        self.epochs: Table[str, int] = Table({"switches": FIRST_EPOCH})
        self.types: Table[tuple[str, str, int], tuple[int, str | None]] = Table()
        self.layouts: Table[tuple[str, str, int], tuple[int, str | None]] = Table()
        """(when, body) by tenant, name and version."""
        self.events = EventLog()
        self._serial = 0

    def commit(self) -> None:
        for table in self._all():
            table.commit()

    def rollback(self) -> None:
        for table in self._all():
            table.rollback()

    def copy(self) -> Tables:
        """The committed rows alone: what a crash leaves."""
        copied = Tables()
        copied._serial = self._serial
        for name, value in vars(self).items():
            if isinstance(value, Table | EventLog):
                setattr(copied, name, value.copy())
        return copied

    @property
    def epoch(self) -> int:
        return self.epochs.get("switches") or FIRST_EPOCH

    def put_attempt(self, attempt: AttemptRecord) -> None:
        self.attempts.put(attempt.id, attempt)
        if attempt.state == AttemptState.SENDING:
            self.open.put(attempt.id, True)  # noqa: FBT003 - a set in a dictionary's clothes
        else:
            self.open.drop(attempt.id)
        if attempt.state > AttemptState.SENT:
            self.looks.drop(attempt.id)
        if attempt.ref is not None and self.by_ref.get((attempt.provider, attempt.ref)) is None:
            self.by_ref.put((attempt.provider, attempt.ref), attempt.id)

    def attempts_of(self, message: MessageRecord) -> list[AttemptRecord]:
        """By number, as the running transaction sees them."""
        found = (self.attempts.get(attempt_id(message.id, number)) for number in range(1, message.number + 1))
        return [attempt for attempt in found if attempt is not None]

    def committed_attempts_of(self, message: MessageRecord) -> list[AttemptRecord]:
        """By number, without what a running transaction has drafted."""
        rows = self.attempts.rows
        found = (attempt_id(message.id, number) for number in range(1, message.number + 1))
        return [rows[id_] for id_ in found if id_ in rows]

    def put_wait(self, message: MessageRecord, wait: Wait | None) -> None:
        """The message's one wait; None takes it away."""
        if wait is None:
            self.waits.drop(message.id)
            return
        self._serial += 1
        self.waits.put(message.id, WaitRow(replace(wait, serial=self._serial), message.priority))

    def shown(self, message: MessageRecord) -> MessageRecord:
        """A committed message with its committed wait, as people see it."""
        row = self.waits.rows.get(message.id)
        return message if row is None else replace(message, wait=row.wait)

    def _all(self) -> Iterator[Table[str, object] | EventLog]:
        for value in vars(self).values():
            if isinstance(value, Table | EventLog):
                yield value


class MemoryStore:
    """The tables and their one writer."""

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables if tables is not None else Tables()
        self.before_commit: Callable[[str], Awaitable[None]] | None = None
        """Awaited with the port method's name inside its transaction, when all is written and nothing committed."""
        self._writer = asyncio.Lock()
        self._killed = False

    @asynccontextmanager
    async def transaction(self, method: str) -> AsyncIterator[Tables]:
        """All of it or nothing; whoever comes meanwhile waits."""
        async with self._writer:
            self._alive()
            try:
                yield self.tables
                if self.before_commit is not None:
                    await self.before_commit(method)
                self._alive()
            except BaseException:
                self.tables.rollback()
                raise
            self.tables.commit()

    def kill(self) -> Tables:
        """Simulates kill -9: nothing more is committed here. Returns what was."""
        self._killed = True
        return self.tables.copy()

    def _alive(self) -> None:
        if self._killed:
            raise StoreDown("the store is closed")
