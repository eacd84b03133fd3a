"""What claims, answers, receipts, cancellations and repair make of the rows that they find, whatever the store.

Pure: each works on a `Folio`, or on a row, that its transaction holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sendwright.drivers.store.folio import Folio, at_moment_of, is_loose, waits_for
from sendwright.model import ids
from sendwright.model.happenings import Happening
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Sighting
from sendwright.model.records import (
    Cancelled,
    Claim,
    Claimed,
    Lost,
    MessageRecord,
    Patience,
    Refused,
    Settlement,
    Sighted,
)
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.fold import contradicts, doubt, fails_first, leaves, may_decide, stopped
from sendwright.policy.suppression import Marker, earned_by

_REFUTED = frozenset({AttemptState.REJECTED, AttemptState.FAILED})


def why_refused(claim: Claim, message: MessageRecord | None, epoch: int) -> str:
    """The reason of a claim that its row did not grant."""
    if message is None:
        return "gone"
    if not at_moment_of(message, claim.parcel):
        return "number"
    if not waits_for(message, claim.parcel):
        return "state"
    if message.late(claim.now):
        return "expired"
    return "epoch" if claim.epoch < epoch else "state"


def suppressed(claim: Claim, message: MessageRecord | None, epoch: int, reason: str) -> Claimed | Refused:
    """The answer to a claim whose address is on the list of suppressions. One that was granted before is granted again."""
    number = claim.parcel.number + 1
    if message is not None and holds_claim(message, claim.token, number):
        return Claimed(ids.attempt_id(message.id, number), number)
    if message is not None and waits_for(message, claim.parcel) and (message.expires_at or claim.now + 1) > claim.now:
        return Refused("suppressed", reason)
    return Refused(why_refused(claim, message, epoch))


def holds_claim(message: MessageRecord, token: str, number: int) -> bool:
    """Whether the row already carries this token: the answer to the claim was lost."""
    return (message.token, message.state, message.number) == (token, MessageState.SENDING, number)


def settled(folio: Folio, s: Settlement, marker: Marker) -> MessageState | None:
    """Joins an outcome, and takes its decision where its author still may decide. None: nobody knows the message."""
    row = folio.messages.get(s.message)
    if row is None:
        return None
    decision = s.decision if may_decide(row, s.token, s.number) else None
    if folio.join(s.message, s.attempt, s.state, s.at, ref=s.ref, reason=s.reason, detail=s.detail) and s.lasting:
        _earn(folio, s.attempt, s.state, s.reason, s.at, marker)
    folio.refold(s.message, s.at, decision)
    return folio.messages[s.message].state


def sighted(folio: Folio, attempt: str, sighting: Sighting, now: int, marker: Marker) -> Sighted:
    """Joins a receipt to an attempt of the folio, and notes what happened beside: a bounce when it is the first word of failure,
    and before what comes of it; all else after what it proves."""
    message = ids.message_of(attempt)
    state = AttemptState(sighting.state)
    named = [each for each in folio.attempts[message] if each.id == attempt]
    first = any(fails_first(each, state) for each in named)
    noted = any(contradicts(each, state) or leaves(each, state, sighting.reason) for each in named)
    news = folio.join(message, attempt, state, now, ref=sighting.ref, reason=sighting.reason, detail=sighting.detail)
    if news or noted:
        _earn(folio, attempt, state, sighting.reason, now, marker, sighting.happened)
    before, bounced = folio.messages[message].state, sighting.happened == Happening.BOUNCED
    if bounced and first:
        folio.happened(message, Happening.BOUNCED.event, sighting.more, now)
    seen = folio.refold(message, now) if news else Sighted(message, before, before)
    if sighting.happened and not bounced:
        folio.happened(message, f"message.{sighting.happened}", sighting.more, now)
    return seen


def told_once(sightings: Iterable[Sighting]) -> bool:
    """Whether any of them reports what is told once of a message: then it has to be known what has been."""
    return any(sighting.happened and sighting.happened != Happening.BOUNCED for sighting in sightings)


def _earn(
    folio: Folio, attempt: str, state: AttemptState, reason: str | None, now: int, marker: Marker, happened: str | None = None
) -> None:
    """Puts the address of an attempt on the list, where that is what the evidence says of it."""
    row = folio.messages[ids.message_of(attempt)]
    for each in folio.attempts[row.id]:
        if each.id == attempt and each.step < len(row.steps):
            step = row.steps[each.step]
            found = earned_by(marker, row.tenant, step.channel, step.address, state, reason, now, happened)
            folio.suppressions += [found] if found is not None else []


def cancelled(folio: Folio, wanted: Iterable[str], tenant: str, now: int) -> Cancelled:
    """Cancels what waits and has never left; counts the others of the tenant's as too late. What waits to be sent again, an answer
    having been lost, is not."""
    gone = too_late = 0
    for row in [folio.messages[id_] for id_ in wanted if id_ in folio.messages]:
        if row.tenant != tenant:
            continue
        attempts = folio.attempts[row.id]
        if waits(row) and all(a.state != AttemptState.SENDING for a in attempts):
            folio.refold(row.id, now, stopped(row, attempts))
        if folio.messages[row.id].state == MessageState.CANCELLED:
            gone += 1
        else:
            too_late += 1
    return Cancelled(cancelled=gone, too_late=too_late)


def waits(row: MessageRecord) -> bool:
    """Whether nobody holds it, and it is not over."""
    return row.state == MessageState.DIGESTING or is_loose(row)


def never_left(folio: Folio, message: str) -> bool:
    """Whether no provider can have taken it."""
    return all(a.state in _REFUTED for a in folio.attempts[message])


def doubted(folio: Folio, attempts: Iterable[str], now: int, patience: Callable[[str], Patience], attempts_max: int) -> list[str]:
    """Puts the attempts that are still open in doubt, and moves their messages on. Returns the messages."""
    moved = []
    for id_ in attempts:
        message = ids.message_of(id_)
        row = folio.messages.get(message)
        attempt = next((a for a in folio.attempts.get(message, ()) if a.id == id_), None)
        if row is None or attempt is None or attempt.state != AttemptState.SENDING:
            continue
        folio.join(message, id_, AttemptState.IN_DOUBT, now, reason=Reason.LOST_ANSWER.value)
        holds = row.state == MessageState.SENDING and row.token is not None and folio.attempts[message][-1].id == id_
        lost = Lost(attempt.provider, row.number, attempt.started_at)
        decision = doubt(row, lost, row.calls + 1, now, patience(attempt.provider), attempts_max) if holds else None
        folio.refold(message, now, decision)
        moved.append(message)
    return moved
