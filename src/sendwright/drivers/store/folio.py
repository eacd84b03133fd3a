"""The rows of some messages, in one transaction's hands: loaded and locked at once, changed, written back at once.

Pure: which rows, and how they are read and written, is the store's. Every change but the straight path's goes through here, so
that however many messages a flush touches, the store sees the same few statements. Two items on one message in one flush
see each other's changes, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from sendwright.model.happenings import ONCE
from sendwright.model.parcel import Parcel
from sendwright.model.people import Suppression
from sendwright.model.records import CONTRADICTED, AttemptRecord, Decision, MessageRecord, Sighted, Wait
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.fold import Standing, another, contradicts, fold, place_of, words_of

EventRow = tuple[int, str, str, str, str]
"""at, tenant, type, subject (the id of a message or notification), detail."""


class Folio:
    """Use within one transaction: construct, change, write back what `changed`, `changed_attempts`, `waits` and `events` say.

    `content_gone` answers for a message's id whether retention has forgotten what it said."""

    def __init__(
        self, messages: Iterable[MessageRecord], attempts: Iterable[AttemptRecord], content_gone: Callable[[str], bool]
    ) -> None:
        self._content_gone = content_gone
        self.messages: dict[str, MessageRecord] = {m.id: m for m in messages}
        self.attempts: dict[str, list[AttemptRecord]] = {id_: [] for id_ in self.messages}
        for attempt in attempts:
            self.attempts[attempt.message].append(attempt)
        self.changed_attempts: dict[str, AttemptRecord] = {}
        self.events: list[EventRow] = []
        self.waits: dict[str, Wait | None] = {}
        """The new wait of a message, None for none; who is not in here keeps what it has."""
        self.suppressions: list[Suppression] = []
        """What the evidence that has joined puts on the list."""
        self.known: set[tuple[str, str]] = set()
        """Of messages that something happened to which is told once (model/happenings.py): message and type of what has been."""
        self._changed: dict[str, None] = {}

    @property
    def changed(self) -> list[MessageRecord]:
        return [self.messages[id_] for id_ in self._changed]

    @property
    def gone_waits(self) -> list[str]:
        return [id_ for id_, wait in self.waits.items() if wait is None]

    @property
    def new_waits(self) -> list[tuple[MessageRecord, Wait]]:
        return [(self.messages[id_], wait) for id_, wait in self.waits.items() if wait is not None]

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
            why, words = words_of(row, state, reason, detail)
            if contradicts(row, state):
                self.events.append((at, self.messages[message].tenant, CONTRADICTED, message, why or ""))
            after = replace(
                row,
                state=joined,
                ref=row.ref or ref,
                twice=row.twice or another(row.ref, ref),
                finished_at=row.finished_at if row.finished_at is not None or joined == AttemptState.SENDING else at,
                reason=why,
                detail=words,
            )
            if after == row:
                return False
            self.attempts[message][index] = after
            self.changed_attempts[attempt] = after
            return news or after.twice != row.twice
        return False

    def refold(self, message: str, now: int, decision: Decision | None = None) -> Sighted:
        """Folds a message anew and notes what that changes."""
        before = self.messages[message]
        standing = fold(before, self.attempts[message], now, decision)
        return self.put(before, standing, now)

    def put(self, before: MessageRecord, standing: Standing, now: int) -> Sighted:
        """Notes a new standing, with its event when the state moved."""
        place = place_of(before, standing, self.attempts[before.id])
        after = replace(
            before,
            channel=place.channel,
            address=place.address,
            provider=place.provider,
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
            self.waits[before.id] = standing.wait
        if after.state != before.state or after.step != before.step:
            self.events.append((now, after.tenant, f"message.{after.state.label}", after.id, after.reason or ""))
        due = standing.wait is not None and standing.wait.due_at is not None and standing.wait.due_at <= now
        return Sighted(before.id, before.state, after.state, poke=due)

    def happened(self, message: str, type_: str, more: str, now: int) -> None:
        """Notes, as an event, what a receipt reported beside a state; of what is told once, the first time."""
        if (message, type_) not in self.known:
            self.known |= {(message, type_)} if type_ in ONCE else set()
            self.events.append((now, self.messages[message].tenant, type_, message, more))

    def content_gone(self, message: str) -> bool:
        """Whether what the message said is forgotten: then there is nothing to send again."""
        return self._content_gone(message)

    def repark(self, message: str, wait: Wait, parcel: Parcel, now: int, reason: str | None, detail: str) -> None:
        """Parks a message anew; what the parcel learned on its way is kept. Only a scheduled one changes its state by it."""
        before = self.messages[message]
        had_its_time = before.state == MessageState.SCHEDULED and wait.key != "time"
        state = MessageState.QUEUED if had_its_time else before.state
        row = replace(before, state=state, wait=wait, backoff_s=parcel.backoff_s, round=parcel.round, updated_at=now)
        if reason is not None:
            row = replace(row, reason=reason, detail=detail)
        self.messages[message] = row
        self._changed[message] = None
        self.waits[message] = wait


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
