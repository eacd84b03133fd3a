"""The rows of some messages, in the writer's hands for one transaction: loaded at once, changed, written back at once.

Every change but the straight path's goes through here, so that however many messages a flush touches, the file sees the
same few statements. Two items on one message in one flush see each other's changes, in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import apsw
import msgspec
from msgspec.structs import replace

from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import rows_of
from sendwright.model.ids import notification_of
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Parcel
from sendwright.model.records import CONTRADICTED, AttemptRecord, Decision, MessageRecord, Sighted, Wait
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.fold import Standing, another, contradicts, fold

_MESSAGES = msgspec.json.Decoder(list[MessageRecord], strict=False)
_ATTEMPTS = msgspec.json.Decoder(list[AttemptRecord], strict=False)

EventRow = tuple[int, str, str, str, str]


class Serials:
    """Numbers that no two waits of this file share."""

    def __init__(self, db: apsw.Connection) -> None:
        self._next = itertools.count(int(db.execute("select coalesce(max(serial), 0) + 1 from waits").get or 1))

    def __call__(self) -> int:
        return next(self._next)


class Folio:
    """Use within one transaction: construct, change, `save`."""

    def __init__(self, db: apsw.Connection, serials: Serials, ids: Iterable[str]) -> None:
        self._db = db
        self._serials = serials
        wanted = rows_of(list(dict.fromkeys(ids)))
        found = _MESSAGES.decode(db.execute(SQL["load_messages"], (wanted,)).get or "[]")
        self.messages: dict[str, MessageRecord] = {m.id: m for m in found}
        self.attempts: dict[str, list[AttemptRecord]] = {m.id: [] for m in found}
        for attempt in _ATTEMPTS.decode(db.execute(SQL["load_attempts"], (wanted,)).get or "[]"):
            self.attempts[attempt.message].append(attempt)
        self._changed: dict[str, None] = {}
        self._changed_attempts: dict[str, AttemptRecord] = {}
        self._events: list[EventRow] = []
        self._waits: dict[str, Wait | None] = {}

    def join(
        self,
        message: str,
        attempt: str,
        state: AttemptState,
        at: int,
        *,
        ref: str | None = None,
        reason: str | None = None,
        detail: str = "",
    ) -> bool:
        """Joins evidence to one attempt; False when it says nothing new."""
        for index, row in enumerate(self.attempts.get(message, ())):
            if row.id != attempt:
                continue
            joined = row.state.join(state)
            news = joined != row.state
            noted = contradicts(row, state)
            if noted:
                reason = reason or Reason.UNKNOWN.value
                self._events.append((at, self.messages[message].tenant, CONTRADICTED, message, reason))
            after = replace(
                row,
                state=joined,
                ref=row.ref or ref,
                twice=row.twice or another(row.ref, ref),
                finished_at=row.finished_at if row.finished_at is not None or joined == AttemptState.SENDING else at,
                reason=reason if (news or noted) and reason is not None else row.reason,
                detail=detail if (news or noted) and detail else row.detail,
            )
            if after == row:
                return False
            self.attempts[message][index] = after
            self._changed_attempts[attempt] = after
            return news or after.twice != row.twice
        return False

    def refold(self, message: str, now: int, decision: Decision | None = None) -> Sighted:
        """Folds a message anew and notes what that changes."""
        before = self.messages[message]
        standing = fold(before, self.attempts[message], now, decision)
        return self.put(before, standing, now)

    def put(self, before: MessageRecord, standing: Standing, now: int) -> Sighted:
        """Notes a new standing, with its event when the state moved."""
        after = replace(
            before,
            state=standing.state,
            step=standing.step,
            calls=standing.calls,
            backoff_s=standing.backoff_s,
            round=standing.round,
            since=standing.since,
            token=standing.token,
            doubled=standing.doubled,
            dead=standing.dead,
            reason=standing.reason,
            detail=standing.detail,
            wait=before.wait if standing.keep_wait else standing.wait,
        )
        if after == before:
            return Sighted(before.id, before.state, before.state)
        after = replace(after, updated_at=now)
        self.messages[before.id] = after
        self._changed[before.id] = None
        if not standing.keep_wait:
            self._waits[before.id] = standing.wait
        if after.state != before.state or after.step != before.step:
            self._events.append((now, after.tenant, f"message.{after.state.label}", after.id, after.reason or ""))
        due = standing.wait is not None and standing.wait.due_at is not None and standing.wait.due_at <= now
        return Sighted(before.id, before.state, after.state, poke=due)

    def content_gone(self, message: str) -> bool:
        """Whether what the message said is forgotten: then there is nothing to send again."""
        return bool(self._db.execute(SQL["content_gone"], (notification_of(message),)).get)

    def repark(self, message: str, wait: Wait, parcel: Parcel, now: int) -> None:
        """Parks a message anew; what the parcel learned on its way is kept. Only a scheduled one changes its state by it."""
        before = self.messages[message]
        had_its_time = before.state == MessageState.SCHEDULED and wait.key != "time"
        state = MessageState.QUEUED if had_its_time else before.state
        row = replace(before, state=state, wait=wait, backoff_s=parcel.backoff_s, round=parcel.round, updated_at=now)
        self.messages[message] = row
        self._changed[message] = None
        self._waits[message] = wait

    def save(self, now: int) -> None:
        """Writes everything back: one statement per table."""
        db = self._db
        if self._changed_attempts:
            rows = [
                (a.id, a.state, a.finished_at, a.ref, a.reason, a.detail, int(a.twice)) for a in self._changed_attempts.values()
            ]
            db.execute(SQL["save_attempts"], (rows_of(rows),))
        if self._changed:
            db.execute(SQL["save_messages"], (rows_of([_saved(self.messages[id_]) for id_ in self._changed]),))
        gone = [id_ for id_, wait in self._waits.items() if wait is None]
        if gone:
            db.execute(SQL["delete_waits"], (rows_of(gone),))
        put_waits(db, self._serials, [(self.messages[id_], w) for id_, w in self._waits.items() if w is not None], now)
        if self._events:
            db.execute(SQL["insert_events"], (rows_of(self._events),))


def put_waits(db: apsw.Connection, serials: Serials, waits: list[tuple[MessageRecord, Wait]], now: int) -> None:
    if waits:
        rows = [(m.id, w.key, m.priority, w.due_at, w.kind, w.name, w.until, now, serials()) for m, w in waits]
        db.execute(SQL["insert_waits"], (rows_of(rows),))


def _saved(m: MessageRecord) -> tuple[object, ...]:
    return (
        m.id,
        m.state,
        m.step,
        m.calls,
        m.token,
        m.updated_at,
        m.reason,
        m.detail,
        int(m.doubled),
        int(m.dead),
        m.backoff_s,
        m.round,
        m.since,
    )


def waits_for(message: MessageRecord, parcel: Parcel) -> bool:
    """True while a message waits for exactly this parcel: not owned, not over, and not begun anew by a person since."""
    return is_loose(message) and at_moment_of(message, parcel)


def at_moment_of(message: MessageRecord, parcel: Parcel) -> bool:
    """Whether the parcel is of this moment of the message's plan."""
    return (message.step, message.number, message.since) == (parcel.step, parcel.number, parcel.since)


def is_loose(message: MessageRecord) -> bool:
    """Waits, or is to be sent again: nobody holds it."""
    waits = message.state in {MessageState.SCHEDULED, MessageState.QUEUED}
    return waits or (message.state == MessageState.SENDING and message.token is None)
