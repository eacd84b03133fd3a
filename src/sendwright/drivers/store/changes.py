"""Fenced changes of single messages: each compares the row it finds and, where it still fits, sets it.

`apply_all` runs all of a flush over one `Folio`; a change whose row does not fit answers so and leaves it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from sendwright.drivers.store.folio import Folio, waits_for
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Parcel
from sendwright.model.records import Decision, MessageRecord, Wait
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.fold import left_alone, revived, sent_again


class Change(Protocol):
    """One fenced change of one message's row."""

    @property
    def message(self) -> str: ...

    @property
    def now(self) -> int: ...

    def apply(self, folio: Folio) -> Any: ...

    absent: Any
    """The answer where there is no such message."""
    of_content: ClassVar[bool] = False
    """Whether it asks if what the message said is forgotten."""


def apply_all(folio: Folio, changes: Sequence[Change]) -> list[Any]:
    """Makes the changes, in order; one answer for each."""
    return [change.apply(folio) if change.message in folio.messages else change.absent for change in changes]


class _OfParcel(Struct, frozen=True):
    parcel: Parcel

    absent = False
    of_content: ClassVar[bool] = False

    @property
    def message(self) -> str:
        return self.parcel.id

    def row(self, folio: Folio) -> MessageRecord | None:
        """The message's row while it waits for exactly this parcel."""
        row = folio.messages[self.parcel.id]
        return row if waits_for(row, self.parcel) else None


class Park(_OfParcel, frozen=True):
    wait: Wait
    now: int
    reason: str | None = None
    detail: str = ""

    def apply(self, folio: Folio) -> bool:
        row = self.row(folio)
        if row is None:
            return False
        folio.repark(row.id, self.wait, self.parcel, self.now, self.reason, self.detail)
        return True


class End(_OfParcel, frozen=True):
    state: MessageState
    reason: str
    detail: str
    now: int

    def apply(self, folio: Folio) -> bool:
        row = self.row(folio)
        if row is None:
            return False
        folio.refold(row.id, self.now, Decision(self.state, row.step, calls=row.calls, reason=self.reason, detail=self.detail))
        return True


class Advance(_OfParcel, frozen=True):
    step: int
    reason: str
    detail: str
    now: int

    def apply(self, folio: Folio) -> bool:
        row = self.row(folio)
        if row is None or not row.step < self.step < len(row.steps):
            return False
        wait = Wait("time", self.now)
        decision = Decision(MessageState.QUEUED, self.step, wait=wait, reason=self.reason, detail=self.detail)
        folio.refold(row.id, self.now, decision)
        return True


class _OfTenant(Struct, frozen=True):
    tenant: str
    message: str

    of_content: ClassVar[bool] = True

    def row(self, folio: Folio) -> MessageRecord | None:
        row = folio.messages[self.message]
        return row if row.tenant == self.tenant else None


class Resolve(_OfTenant, frozen=True):
    verdict: str
    now: int

    absent = None

    def apply(self, folio: Folio) -> MessageState | None:
        row = self.row(folio)
        if row is None or row.state != MessageState.IN_DOUBT:
            return None
        if self.verdict == "resend":
            if folio.content_gone(row.id) or not row.addressed or row.late(self.now):
                return None
            folio.put(row, sent_again(row, self.now), self.now)
            return folio.messages[row.id].state
        evidence = AttemptState.SENT if self.verdict == "sent" else AttemptState.FAILED
        lost = Reason.LOST_ANSWER.value
        reason = None if self.verdict == "sent" else lost
        for attempt in folio.attempts[row.id]:
            if attempt.state == AttemptState.IN_DOUBT:
                folio.join(row.id, attempt.id, evidence, self.now, reason=reason, detail="resolved by hand")
        over = Decision(MessageState.FAILED, row.step, calls=row.calls, reason=lost)
        folio.refold(row.id, self.now, None if self.verdict == "sent" else over)
        return folio.messages[row.id].state


class Revive(_OfTenant, frozen=True):
    now: int
    seen: MessageRecord | None

    absent = False

    def apply(self, folio: Folio) -> bool:
        row = self.row(folio)
        if row is None or not row.state.settled or not row.addressed or row.state >= MessageState.DELIVERED:
            return False
        if row.late(self.now):
            return False
        moved = self.seen is not None and not row.stands_as(self.seen)
        if moved or folio.content_gone(row.id):
            return False
        folio.put(row, revived(row, self.now), self.now)
        return True


class Drop(_OfTenant, frozen=True):
    now: int

    absent = False

    def apply(self, folio: Folio) -> bool:
        row = self.row(folio)
        if row is None or not row.dead:
            return False
        folio.put(row, left_alone(row), self.now)
        return True
