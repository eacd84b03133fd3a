"""The ledger in memory: each method is one transaction over frozen rows, decided by `policy.fold`.

It shares nothing with the other stores but that fold, so that a mistake in one of them shows as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_suppressions import earn, suppressed
from sendwright.drivers.store.memory_tables import MemoryStore, NotificationRow, Tables
from sendwright.model.happenings import Happening
from sendwright.model.ids import MESSAGE, attempt_id, notification_of
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Parcel, Sighting
from sendwright.model.records import (
    CONTRADICTED,
    UNCONFIRMED,
    AttemptRecord,
    Birth,
    Cancelled,
    Claim,
    Claimed,
    Decision,
    Lost,
    MessageRecord,
    Patience,
    Plan,
    Refused,
    Settlement,
    Sighted,
    Unheard,
    Wait,
    parcel_of,
)
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.fold import (
    Future,
    Standing,
    another,
    contradicts,
    doubt,
    fails_first,
    fold,
    leaves,
    may_decide,
    out_of_time,
    place_of,
    revived,
    sent_again,
    stopped,
    unknown,
    words_of,
)
from sendwright.policy.lookup import FIRST_MS, next_look
from sendwright.policy.suppression import UNKEYED, Marker

_ARRIVED = frozenset({MessageState.DELIVERED, MessageState.READ})


class MemoryLedger:
    """ports.Ledger."""

    def __init__(self, store: MemoryStore, marker: Marker = UNKEYED) -> None:
        self._store = store
        self._marker = marker

    async def plan(self, plans: Sequence[Plan]) -> Sequence[Sequence[Parcel]]:
        async with self._store.transaction("plan") as t:
            for plan in plans:
                if t.notifications.get(plan.id) is None:
                    _write(t, plan)
            return [_unsent(t, plan.id) for plan in plans]

    async def claim(self, claim: Claim) -> Claimed | Refused:
        async with self._store.transaction("claim") as t:
            parcel = claim.parcel
            message = t.messages.get(parcel.id)
            number = parcel.number + 1
            if message is None:
                return Refused("gone")
            if _mine(message, claim.token, number):
                return Claimed(attempt_id(message.id, number), number)
            why = _refusal(message, claim, t.epoch)
            if why is not None:
                return Refused(why)
            reason = suppressed(t, message, claim)
            return _grant(t, message, claim) if reason is None else Refused("suppressed", reason)

    async def settle(self, settlement: Settlement) -> MessageState:
        async with self._store.transaction("settle") as t:
            s = settlement
            message, attempt = t.messages.get(s.message), t.attempts.get(s.attempt)
            if message is None or attempt is None:
                return MessageState.ACCEPTED  # retention took the rows: the same as an id that was never planned
            joined = _joined(attempt, s.state, s.at, ref=s.ref, reason=s.reason, detail=s.detail)
            t.put_attempt(joined)
            _note(t, message, attempt, joined, s.state, s.at)
            if joined.state != attempt.state and s.lasting:
                earn(t, message, joined, s.state, s.reason, s.at, self._marker)
            state = _refold(t, message, s.at, s.decision if may_decide(message, s.token, s.number) else None).after
            for sighting in _claimed_strays(t, joined.provider, s.ref):
                state = _sight(t, joined.id, sighting, s.at, self._marker).after
            return state if state is not None else message.state

    async def park(self, parcel: Parcel, wait: Wait, now: int, reason: str | None = None, detail: str = "") -> bool:
        async with self._store.transaction("park") as t:
            message = _waiting_at(t, parcel)
            if message is not None:
                had_its_time = message.state == MessageState.SCHEDULED and wait.key != "time"
                state = MessageState.QUEUED if had_its_time else message.state
                learned = replace(message, backoff_s=parcel.backoff_s, round=parcel.round)
                if reason is not None:
                    learned = replace(learned, reason=reason, detail=detail)
                t.messages.put(message.id, replace(learned, state=state, updated_at=now))
                t.put_wait(message, wait)
            return message is not None

    async def end(self, parcel: Parcel, state: MessageState, reason: str, detail: str, now: int) -> bool:
        async with self._store.transaction("end") as t:
            message = _waiting_at(t, parcel)
            if message is not None:
                _refold(t, message, now, Decision(state, message.step, calls=message.calls, reason=reason, detail=detail))
            return message is not None

    async def advance(self, parcel: Parcel, step: int, reason: str, detail: str, now: int) -> bool:
        async with self._store.transaction("advance") as t:
            message = _waiting_at(t, parcel)
            if message is None or not parcel.step < step < len(message.steps):
                return False
            _refold(t, message, now, Decision(MessageState.QUEUED, step, wait=Wait("time", now), reason=reason, detail=detail))
            return True

    async def observe(self, sighting: Sighting, now: int) -> Sighted:
        async with self._store.transaction("observe") as t:
            attempt = _found(t, sighting)
            if attempt is not None:
                return _sight(t, attempt, sighting, now, self._marker)
            if sighting.ref is not None:
                key = (sighting.provider, sighting.ref)
                t.strays.put(key, (*(t.strays.get(key) or ()), sighting))
            return Sighted()

    async def cancel(self, tenant: str, target: str, now: int) -> Cancelled:
        async with self._store.transaction("cancel") as t:
            if target.startswith(MESSAGE):
                one = t.messages.get(target)
                return Cancelled() if one is None or one.tenant != tenant else _cancel(t, [one], now)
            row = t.notifications.get(target)
            if row is None:
                t.cancellations.put((tenant, target), now)
                return Cancelled(unplanned=1)
            if row.plan.tenant != tenant:
                return Cancelled()
            t.notifications.put(target, replace(row, cancelled_at=row.cancelled_at or now))
            messages = (t.messages.get(message) for message in row.messages)
            return _cancel(t, [message for message in messages if message is not None], now)

    async def resolve(self, tenant: str, message: str, verdict: str, now: int) -> MessageState | None:
        async with self._store.transaction("resolve") as t:
            row = _of_tenant(t, tenant, message)
            if row is None or row.state != MessageState.IN_DOUBT:
                return None
            if verdict == "resend":
                if _content_gone(t, row) or not row.addressed or _over_time(row, now):
                    return None
                _stand(t, row, sent_again(row, now), now)
                return MessageState.QUEUED
            word = AttemptState.SENT if verdict == "sent" else AttemptState.FAILED
            lost = Reason.LOST_ANSWER.value
            why = None if verdict == "sent" else lost
            for attempt in t.attempts_of(row):
                if attempt.state == AttemptState.IN_DOUBT:
                    t.put_attempt(_joined(attempt, word, now, reason=why, detail="resolved by hand"))
            failed = Decision(MessageState.FAILED, row.step, calls=row.calls, reason=lost)
            return _refold(t, row, now, None if verdict == "sent" else failed).after

    async def revive(self, tenant: str, message: str, now: int, seen: MessageRecord | None = None) -> bool:
        async with self._store.transaction("revive") as t:
            row = _of_tenant(t, tenant, message)
            if row is None or not row.state.settled or row.state in _ARRIVED or not row.addressed or _content_gone(t, row):
                return False
            if _over_time(row, now) or (seen is not None and not row.stands_as(seen)):
                return False
            _stand(t, row, revived(row, now), now)
            return True

    async def drop(self, tenant: str, message: str, now: int) -> bool:
        async with self._store.transaction("drop") as t:
            row = _of_tenant(t, tenant, message)
            if row is None or not row.dead:
                return False
            t.messages.put(message, replace(row, dead=False, updated_at=now))
            return True

    async def repair(
        self,
        now: int,
        alive: Callable[[str], bool],
        patience: Callable[[str], Patience],
        attempts_max: int,
        future: Future = unknown,
    ) -> Sequence[str]:
        async with self._store.transaction("repair") as t:
            moved: dict[str, None] = {}
            for id_ in list(t.open.rows):
                attempt = t.attempts.get(id_)
                if attempt is None:
                    continue
                if alive(attempt.owner or "") and not out_of_time(attempt.started_at, attempt.deadline_at, now, future()):
                    continue
                _doubt(t, attempt, now, patience(attempt.provider), attempts_max)
                moved[attempt.message] = None
            return list(moved)

    async def unheard(self, now: int, limit: int) -> Sequence[Unheard]:
        async with self._store.transaction("unheard") as t:
            due = sorted((at, id_) for id_, at in t.looks.rows.items() if at <= now and _is_sent(t, id_))[:limit]
            found = []
            for at, id_ in due:
                attempt = t.attempts.rows[id_]
                again = next_look(attempt.started_at, now)
                t.looks.drop(id_) if again is None else t.looks.put(id_, again)
                message = t.messages.get(attempt.message)
                if message is not None and message.state == MessageState.SENT and at <= attempt.started_at + FIRST_MS:
                    t.events.append(now, message.tenant, UNCONFIRMED, (notification_of(message.id), message.id), "")
                if attempt.ref is not None:
                    found.append(Unheard(id_, attempt.provider, attempt.ref))
            return found


def _is_sent(t: Tables, attempt: str) -> bool:
    row = t.attempts.get(attempt)
    return row is not None and row.state == AttemptState.SENT


def _write(t: Tables, plan: Plan) -> None:
    cancelled_at = t.cancellations.get((plan.tenant, plan.id))
    t.cancellations.drop((plan.tenant, plan.id))
    t.notifications.put(plan.id, NotificationRow(plan, tuple(birth.id for birth in plan.births), cancelled_at))
    t.events.append(plan.at, plan.tenant, "notification.accepted", (plan.id, None))
    for birth in plan.births:
        message = _born(plan, birth, stopped=cancelled_at is not None)
        t.messages.put(message.id, message)
        if message.state == MessageState.IN_DOUBT:
            t.put_attempt(_supposed(message))
        if message.state.settled:
            t.events.append(plan.at, plan.tenant, f"message.{message.state.label}", (plan.id, message.id), message.reason or "")
        elif birth.wait is not None:
            t.put_wait(message, birth.wait)


def _born(plan: Plan, birth: Birth, *, stopped: bool) -> MessageRecord:
    state = MessageState.CANCELLED if stopped and not birth.state.settled else birth.state
    return MessageRecord(
        id=birth.id,
        tenant=plan.tenant,
        state=state,
        step=0,
        number=int(state == MessageState.IN_DOUBT),
        steps=birth.steps,
        priority=plan.priority,
        on_doubt=plan.on_doubt,
        accepted_at=plan.at,
        updated_at=plan.at,
        recipient=birth.recipient,
        about=birth.about,
        channel=birth.steps[0].channel if birth.steps else None,
        address=birth.steps[0].address if birth.steps else None,
        expires_at=plan.expires_at,
        reason=birth.reason,
        detail=birth.detail,
        dead=state == MessageState.FAILED,
        provider=(birth.provider or "unknown") if state == MessageState.IN_DOUBT else None,
    )


def _supposed(message: MessageRecord) -> AttemptRecord:
    """The attempt that may have been made of a message that is in doubt at birth."""
    at, step, by = message.accepted_at, message.steps[0], message.provider or ""
    attempt = AttemptRecord(attempt_id(message.id, 1), message.id, 1, 0, step.channel, by, AttemptState.IN_DOUBT, at, at, at)
    return replace(attempt, reason=message.reason, detail=message.detail)


def _unsent(t: Tables, notification: str) -> list[Parcel]:
    """Of the stored messages those that are queued, were never claimed and wait for nothing."""
    row = t.notifications.get(notification)
    if row is None:
        return []
    found = (t.messages.get(id_) for id_ in row.messages)
    return [
        parcel_of(message, row.plan.content, row.plan.trace, row.plan.category)
        for message in found
        if message and message.state == MessageState.QUEUED and message.number == 0 and t.waits.get(message.id) is None
    ]


def _loose(message: MessageRecord) -> bool:
    """Waits, or is to be sent again: nobody holds it."""
    waits = message.state in {MessageState.SCHEDULED, MessageState.QUEUED}
    return waits or (message.state == MessageState.SENDING and message.token is None)


def _waiting_at(t: Tables, parcel: Parcel) -> MessageRecord | None:
    message = t.messages.get(parcel.id)
    fits = message is not None and _loose(message) and _moment(message) == _moment(parcel)
    return message if fits else None


def _moment(of: MessageRecord | Parcel) -> tuple[int, int, int]:
    return of.step, of.number, of.since


def _of_tenant(t: Tables, tenant: str, message: str) -> MessageRecord | None:
    row = t.messages.get(message)
    return row if row is not None and row.tenant == tenant else None


def _content_gone(t: Tables, message: MessageRecord) -> bool:
    """Whether retention has forgotten what it said."""
    row = t.notifications.get(notification_of(message.id))
    return row is None or row.forgotten


def _over_time(message: MessageRecord, now: int) -> bool:
    return message.expires_at is not None and message.expires_at <= now


def _mine(message: MessageRecord, token: str, number: int) -> bool:
    return message.state == MessageState.SENDING and message.token == token and message.number == number


def _refusal(message: MessageRecord, claim: Claim, epoch: int) -> str | None:
    if _moment(message) != _moment(claim.parcel):
        return "number"
    if not _loose(message):
        return "state"
    if _over_time(message, claim.now):
        return "expired"
    return "epoch" if claim.epoch < epoch else None


def _grant(t: Tables, message: MessageRecord, claim: Claim) -> Claimed:
    parcel, number = claim.parcel, message.number + 1
    row = replace(
        message,
        state=MessageState.SENDING,
        number=number,
        token=claim.token,
        updated_at=claim.now,
        provider=claim.provider,
        channel=parcel.channel,
        address=parcel.address,
    )
    t.messages.put(message.id, row)
    t.put_wait(message, None)
    attempt = AttemptRecord(
        id=attempt_id(message.id, number),
        message=message.id,
        number=number,
        step=parcel.step,
        channel=parcel.channel,
        provider=claim.provider,
        state=AttemptState.SENDING,
        started_at=claim.now,
        deadline_at=claim.deadline_at,
        owner=claim.owner,
        repeats=claim.repeats,
        call=claim.call,
    )
    t.put_attempt(attempt)
    if claim.look_at is not None:
        t.looks.put(attempt.id, claim.look_at)
    return Claimed(attempt.id, number)


def _joined(
    attempt: AttemptRecord, state: AttemptState, at: int, *, ref: str | None = None, reason: str | None = None, detail: str = ""
) -> AttemptRecord:
    """The attempt with more evidence; its words are those of the evidence that moved it."""
    joined = attempt.state.join(state)
    why, words = words_of(attempt, state, reason, detail)
    return replace(
        attempt,
        state=joined,
        finished_at=at if attempt.finished_at is None and joined != AttemptState.SENDING else attempt.finished_at,
        ref=attempt.ref or ref,
        twice=attempt.twice or another(attempt.ref, ref),
        reason=why,
        detail=words,
    )


def _note(t: Tables, message: MessageRecord, before: AttemptRecord, after: AttemptRecord, said: AttemptState, now: int) -> None:
    if contradicts(before, said):
        t.events.append(now, message.tenant, CONTRADICTED, (notification_of(message.id), message.id), after.reason or "")


def _refold(t: Tables, message: MessageRecord, now: int, decision: Decision | None = None) -> Sighted:
    return _stand(t, message, fold(message, t.attempts_of(message), now, decision), now)


def _stand(t: Tables, before: MessageRecord, standing: Standing, now: int) -> Sighted:
    """Writes a message's new standing, its wait, and an event when it went anywhere."""
    channel, address, provider = place_of(before, standing, t.attempts_of(before))
    after = replace(
        before,
        channel=channel,
        address=address,
        provider=provider,
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
    )
    if after != before:
        t.messages.put(before.id, replace(after, updated_at=now))
    if not standing.keep_wait:
        t.put_wait(before, standing.wait)
    if (after.state, after.step) != (before.state, before.step):
        kind = f"message.{after.state.label}"
        t.events.append(now, before.tenant, kind, (notification_of(before.id), before.id), after.reason or "")
    wait = None if standing.keep_wait else standing.wait
    poke = wait is not None and wait.due_at is not None and wait.due_at <= now
    return Sighted(before.id, before.state, after.state, poke=poke)


def _found(t: Tables, sighting: Sighting) -> str | None:
    named = t.attempts.get(sighting.attempt) if sighting.attempt is not None else None
    if named is not None and named.provider == sighting.provider:
        return named.id
    return None if sighting.ref is None else t.by_ref.get((sighting.provider, sighting.ref))


def _sight(t: Tables, attempt: str, sighting: Sighting, now: int, marker: Marker) -> Sighted:
    before = t.attempts.get(attempt)
    message = t.messages.get(before.message) if before is not None else None
    if before is None or message is None:
        return Sighted()
    after = _joined(
        before,
        AttemptState(sighting.state),
        now,
        ref=sighting.ref,
        reason=sighting.reason,
        detail=sighting.detail,
    )
    if after != before:
        t.put_attempt(after)
    _note(t, message, before, after, AttemptState(sighting.state), now)
    said = AttemptState(sighting.state)
    if after.state != before.state or contradicts(before, said) or leaves(before, said, sighting.reason):
        earn(t, message, after, said, sighting.reason, now, marker, sighting.happened)
    if sighting.happened == Happening.BOUNCED and fails_first(before, said):
        _happened(t, message, sighting, now)
    moved = (after.state, after.twice) != (before.state, before.twice)
    seen = _refold(t, message, now) if moved else Sighted(message.id, message.state, message.state)
    if (
        sighting.happened
        and sighting.happened != Happening.BOUNCED
        and not t.events.has(message.id, f"message.{sighting.happened}")
    ):
        _happened(t, message, sighting, now)
    return seen


def _happened(t: Tables, message: MessageRecord, sighting: Sighting, now: int) -> None:
    about = (notification_of(message.id), message.id)
    t.events.append(now, message.tenant, f"message.{sighting.happened}", about, sighting.more)


def _claimed_strays(t: Tables, provider: str, ref: str | None) -> tuple[Sighting, ...]:
    if ref is None:
        return ()
    strays = t.strays.get((provider, ref)) or ()
    t.strays.drop((provider, ref))
    return strays


def _cancel(t: Tables, messages: Sequence[MessageRecord], now: int) -> Cancelled:
    cancelled = too_late = 0
    for message in messages:
        state = message.state
        if _stoppable(t, message):
            state = _refold(t, message, now, stopped(message, t.attempts_of(message))).after or state
        if state == MessageState.CANCELLED:
            cancelled += 1
        else:
            too_late += 1
    return Cancelled(cancelled=cancelled, too_late=too_late)


def _stoppable(t: Tables, message: MessageRecord) -> bool:
    """Waits, and no call of it is open."""
    waits = _loose(message) or message.state == MessageState.DIGESTING
    return waits and all(attempt.state != AttemptState.SENDING for attempt in t.attempts_of(message))


def _doubt(t: Tables, attempt: AttemptRecord, now: int, patience: Patience, attempts_max: int) -> None:
    t.put_attempt(_joined(attempt, AttemptState.IN_DOUBT, now, reason=Reason.LOST_ANSWER.value))
    message = t.messages.get(attempt.message)
    if message is None:
        return
    holds = message.state == MessageState.SENDING and message.token is not None and message.number == attempt.number
    lost = Lost(attempt.provider, attempt.number, attempt.started_at)
    decision = doubt(message, lost, message.calls + 1, now, patience, attempts_max) if holds else None
    _refold(t, message, now, decision)
