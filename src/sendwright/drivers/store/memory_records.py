"""What people ask to see, out of the store in memory, and its recount. Reads committed rows only, and changes nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.store.memory_tables import MemoryStore, NotificationRow, Tables
from sendwright.drivers.store.sampling import strip_of, together
from sendwright.model.ids import MESSAGE, NOTIFICATION, attempt_id, floor, notification_of
from sendwright.model.notification import Priority, state_of
from sendwright.model.parcel import INBOUND, Intake, Parcel, glimpse, split
from sendwright.model.records import (
    AttemptRecord,
    Audit,
    Event,
    Listed,
    MessageRecord,
    NotificationRecord,
    Page,
    T,
    Violation,
    Wait,
)
from sendwright.model.states import MessageState
from sendwright.model.stats import COUNTED_MAX, UNIT_MAX, Backlog, Strip


class MemoryRecords:
    """ports.Records."""

    def __init__(self, store: MemoryStore, bus: MemoryBus) -> None:
        self._tables = store.tables
        self._bus = bus

    async def notification(self, tenant: str, notification: str) -> NotificationRecord | None:
        row = self._tables.notifications.rows.get(notification)
        if row is not None:
            return _record(self._tables, row) if row.plan.tenant == tenant else None
        cancelled_at = self._tables.cancellations.rows.get((tenant, notification))
        return _unplanned(tenant, notification, cancelled_at) if cancelled_at is not None else None

    async def metadata_of(self, notifications: Collection[str]) -> Mapping[str, dict[str, str]]:
        rows = self._tables.notifications.rows
        return {id_: rows[id_].plan.metadata for id_ in notifications if id_ in rows}

    async def messages_of(self, notification: str, limit: int, after: str | None) -> Sequence[MessageRecord]:
        row = self._tables.notifications.rows.get(notification)
        wanted = sorted(id_ for id_ in (row.messages if row else ()) if after is None or id_ > after)
        return [self._tables.shown(self._tables.messages.rows[id_]) for id_ in wanted[:limit]]

    async def message(self, tenant: str, message: str) -> MessageRecord | None:
        row = self._tables.messages.rows.get(message)
        return self._tables.shown(row) if row is not None and row.tenant == tenant else None

    async def attempts(self, message: str) -> Sequence[AttemptRecord]:
        row = self._tables.messages.rows.get(message)
        return self._tables.committed_attempts_of(row) if row is not None else []

    async def timeline(self, message: str) -> Sequence[Event]:
        notification = notification_of(message)
        return [e for e in self._tables.events.rows if e.notification == notification and e.message in {None, message}]

    async def said_back(self, tenant: str, marks: Collection[str], limit: int, before: int | None = None) -> Sequence[Event]:
        heard = {row.id for row in self._tables.replies.rows.values() if row.mark in marks}
        said = [e for e in self._tables.events.rows if e.notification in heard and e.tenant == tenant]
        return [e for e in reversed(said) if before is None or e.seq < before][:limit]

    async def list_messages(self, page: Page) -> Listed[MessageRecord]:
        fitting = (row for row in _newest(self._tables.messages.rows, MESSAGE, page) if _message_fits(row, page))
        return _listed((self._tables.shown(row) for row in fitting), page.limit)

    async def list_notifications(self, page: Page) -> Listed[NotificationRecord]:
        known = {id_: _record(self._tables, row) for id_, row in self._tables.notifications.rows.items()}
        for (tenant, id_), cancelled_at in self._tables.cancellations.rows.items():
            known.setdefault(id_, _unplanned(tenant, id_, cancelled_at))
        rows = _newest(known, NOTIFICATION, page)
        return _listed((row for row in rows if _notification_fits(row, page)), page.limit)

    async def dead_causes(self, tenant: str) -> Sequence[tuple[str, str, str, int]]:
        dead = (m for m in self._tables.messages.rows.values() if m.dead and m.tenant == tenant)
        causes = Counter((m.channel or "", m.reason or "unknown", m.provider or "") for m in dead)
        return [(*cause, count) for cause, count in causes.most_common()]

    async def events(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        rows = self._tables.events.rows
        newer = islice(rows, bisect_right(rows, after, key=lambda event: event.seq), None)
        return list(islice((event for event in newer if event.tenant == tenant), limit))

    async def sampled(self, tenant: str, spans: Sequence[tuple[int, int]], most: int) -> Sequence[Strip]:
        strips = []
        for since, until in spans:
            rows = list(islice(_newest(self._tables.messages.rows, MESSAGE, Page(tenant, since=since, until=until)), most))
            strips.append(strip_of([(*self._sample(row), row.tenant == tenant) for row in rows], most))
        return strips

    async def accepted_within(self, tenant: str, spans: Sequence[tuple[int, int]], most: int = UNIT_MAX) -> Sequence[int]:
        rows = self._tables.messages.rows
        within = (list(_newest(rows, MESSAGE, Page(tenant, since=since, until=until))) for since, until in spans)
        return [sum(row.tenant == tenant for row in reversed(found[-most:])) for found in within]

    def _sample(self, row: MessageRecord) -> tuple[int, int, str | None, str | None, int | None]:
        first = self._tables.attempts.rows.get(attempt_id(row.id, 1))
        send_at = self._tables.notifications.rows[notification_of(row.id)].plan.send_at or 0
        latency_ms = None if first is None else first.started_at - max(row.accepted_at, send_at)
        return row.accepted_at, row.state.value, row.channel, row.provider, latency_ms

    async def backlog(self, tenant: str) -> Backlog:
        own = [row for row in self._tables.messages.rows.values() if row.tenant == tenant]
        groups: dict[tuple[str, Priority], list[tuple[Wait, MessageRecord]]] = {}
        for row in own:
            if (waiting := self._tables.waits.rows.get(row.id)) is not None and waiting.wait.key != "time":
                groups.setdefault((waiting.wait.key, waiting.priority), []).append((waiting.wait, row))
        firsts = [(*min(group, key=lambda pair: pair[0].serial), len(group)) for group in groups.values()]
        parked = [(w.kind, w.name or w.key.partition(":")[2], count, row.accepted_at) for w, row, count in firsts]
        doubts = sum(row.state == MessageState.IN_DOUBT for row in own)
        return Backlog(min(sum(row.dead for row in own), COUNTED_MAX), min(doubts, COUNTED_MAX), together(parked))

    async def audit(self) -> Audit:
        return _Recount(self._tables, self._bus).audit()


class _Recount:
    """By the accepting processes' numbers and by the rows; what one has and the other has not is named."""

    def __init__(self, tables: Tables, bus: MemoryBus) -> None:
        self._tables = tables
        bundles = list(bus.undone())
        self._intakes = [intake for lane, body in bundles if lane.startswith("intake.") for intake in _read(Intake, body)]
        self._on_intake = {intake.id for intake in self._intakes}
        others = [body for lane, body in bundles if not lane.startswith("intake.") and lane != INBOUND]
        self._carried = {parcel.id for body in others for parcel in _read(Parcel, body)}

    def audit(self) -> Audit:
        tables = self._tables
        return Audit(
            accepted=sum(tables.accepted.rows.values()),
            planned=len(tables.notifications.rows),
            waiting=sum(intake.id not in tables.notifications.rows for intake in self._intakes),
            messages=len(tables.messages.rows),
            by_state=dict(Counter(message.state.label for message in tables.messages.rows.values())),
            violations=(*self._gaps(), *self._forgotten_keys(), *self._lost(), *self._stranded(), *self._untold()),
        )

    def _gaps(self) -> Iterator[Violation]:
        plans = [row.plan for row in self._tables.notifications.rows.values()]
        seen = {(plan.process, plan.number) for plan in plans} | {(one.process, one.number) for one in self._intakes}
        for process, accepted in self._tables.accepted.rows.items():
            for number in range((self._tables.forgotten.rows.get(process) or 0) + 1, accepted + 1):
                if (process, number) not in seen:
                    yield Violation("gap", process, f"number {number}")

    def _forgotten_keys(self) -> Iterator[Violation]:
        for row in self._tables.keys.rows.values():
            if row.id not in self._tables.notifications.rows and row.id not in self._on_intake:
                yield Violation("lost", row.id, "accepted under a key, neither planned nor waiting")

    def _lost(self) -> Iterator[Violation]:
        tables = self._tables
        for row in tables.notifications.rows.values():
            for id_ in row.messages:
                if id_ not in tables.messages.rows:
                    yield Violation("lost", id_, "planned, and not stored")
        for message in tables.messages.rows.values():
            if len(tables.committed_attempts_of(message)) != message.number:
                yield Violation("attempts", message.id, "more were claimed than are stored")

    def _stranded(self) -> Iterator[Violation]:
        """Messages that wait for nothing that would ever move them, and waits that would move nothing."""
        tables = self._tables
        for message in tables.messages.rows.values():
            waits = message.id in tables.waits.rows
            if message.state.settled:
                if waits:
                    yield Violation("wait", message.id, f"{message.state.label}, and still waiting")
            elif message.token is not None:
                if not any(attempt.id in tables.open.rows for attempt in tables.committed_attempts_of(message)):
                    yield Violation("stranded", message.id, "sending, and no attempt is open")
            elif not waits and message.id not in self._carried and notification_of(message.id) not in self._on_intake:
                yield Violation("stranded", message.id, f"{message.state.label}, on no lane and not waiting")

    def _untold(self) -> Iterator[Violation]:
        told = {(event.message or event.notification, event.type) for event in self._tables.events.rows}
        for notification in self._tables.notifications.rows:
            if (notification, "notification.accepted") not in told:
                yield Violation("event", notification, "accepted, and no event says so")
        for message in self._tables.messages.rows.values():
            if message.state.settled and (message.id, f"message.{message.state.label}") not in told:
                yield Violation("event", message.id, f"{message.state.label}, and no event says so")


def _read(kind: type[T], body: bytes) -> Iterator[T]:
    """The parcels of a bundle that can be read; the others are nobody's progress."""
    return (found for raw in split(body) if (found := glimpse(kind, raw)) is not None)


def _record(tables: Tables, row: NotificationRow) -> NotificationRecord:
    plan = row.plan
    return NotificationRecord(
        id=plan.id,
        tenant=plan.tenant,
        at=plan.at,
        priority=plan.priority,
        category=plan.category,
        on_doubt=plan.on_doubt,
        content=plan.content,
        messages=len(row.messages),
        counts=dict(Counter(tables.messages.rows[id_].state for id_ in row.messages)),
        send_at=plan.send_at,
        expires_at=plan.expires_at,
        metadata=plan.metadata,
        key=plan.key,
        cancelled_at=row.cancelled_at,
        type=plan.type,
    )


def _unplanned(tenant: str, notification: str, cancelled_at: int) -> NotificationRecord:
    """One that was cancelled before it was planned: nothing else is known of it yet."""
    return NotificationRecord(
        id=notification,
        tenant=tenant,
        at=cancelled_at,
        priority=Priority.NORMAL,
        category="transactional",
        on_doubt="resend",
        content=None,
        messages=0,
        counts={},
        cancelled_at=cancelled_at,
    )


def _newest(rows: dict[str, T], prefix: str, page: Page) -> Iterator[T]:
    """From new to old, between the page's bounds."""
    since = floor(prefix, page.since) if page.since is not None else ""
    until = floor(prefix, page.until) if page.until is not None else "~"
    before = page.before if page.before is not None else "~"
    for id_ in sorted((id_ for id_ in rows if since <= id_ < min(until, before)), reverse=True):
        yield rows[id_]


def _message_fits(row: MessageRecord, page: Page) -> bool:
    asked = (
        (page.notification, notification_of(row.id)),
        (page.state, row.state),
        (page.channel, row.channel),
        (page.provider, row.provider),
        (page.recipient, row.recipient),
        (page.reason, row.reason),
        (page.doubled, row.doubled),
        (page.dead, row.dead),
    )
    return row.tenant == page.tenant and all(wanted is None or wanted == found for wanted, found in asked)


def _notification_fits(row: NotificationRecord, page: Page) -> bool:
    if row.tenant != page.tenant or (page.key is not None and row.key != page.key):
        return False
    if page.type is not None and (row.type is None or page.type not in (row.type, row.type.partition("@")[0])):
        return False
    return page.state is None or state_of(row.counts, cancelled=row.cancelled_at is not None) == page.state


def _listed(rows: Iterable[T], limit: int) -> Listed[T]:
    found = list(islice(rows, limit + 1))
    shown = tuple(found[:limit])
    last: MessageRecord | NotificationRecord | None = shown[-1] if len(found) > limit else None  # type: ignore[assignment]
    return Listed(shown, last.id if last is not None else None)
