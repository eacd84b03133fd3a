"""A message's state is a fold over its attempts: evidence joins, decisions are fenced.

Every store calls `fold` inside the transaction that changed an attempt, so that two receipts, a receipt and an answer,
or a repair and an answer come to the same end in whichever order they commit. A `Decision` is passed only when its
author still holds the claim; without one, the fold says what the evidence alone makes of the message.

Attempts that repeat a call under a key that its provider knew are one call with it, and so is their evidence. Where a
person had it sent again, the plan's calls are those since; what was taken before counts again when that plan comes to nothing.

The rules, first match wins:
  1. any attempt read or delivered: so is the message, for good
  2. any call of the plan taken by a provider (and none open that holds the claim): sent; its plan is over
  3. the holder's decision; but nobody may call failed, expired, cancelled or suppressed what was sent before it, or is in doubt
  4. an attempt is open: sending
  5. a doubt that is held: in doubt; one that waits to be sent again: as it waits; one that was cancelled: in doubt, then cancelled
  6. every call of the plan failed: what waits goes on waiting; what was sent, open or in doubt takes the next step, or fails
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from sendwright.model.outcomes import Reason
from sendwright.model.parcel import BOUND_MS, FRESH, Parcel, Round
from sendwright.model.records import AttemptRecord, Decision, Lost, MessageRecord, Patience, Wait
from sendwright.model.states import AttemptState, MessageState

_TAKEN = frozenset({AttemptState.SENT, AttemptState.DELIVERED, AttemptState.READ})
_ARRIVED = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})
_REFUTED = frozenset({AttemptState.REJECTED, AttemptState.FAILED})
_NOT_TAKEN = frozenset({r.value for r in (Reason.UNREACHABLE, Reason.LIMIT, Reason.MISCONFIGURED, Reason.EXPIRED, Reason.CONTENT)})
_NEVER_SENT = frozenset({MessageState.FAILED, MessageState.EXPIRED, MessageState.CANCELLED, MessageState.SUPPRESSED})
_MAY_ADVANCE = frozenset({MessageState.SENDING, MessageState.SENT, MessageState.IN_DOUBT})

Future = Callable[[], int | None]
"""From when on, in ms since 1970, everything is of the future; None where that is not known for sure. Asked when attempts have been
read: asked earlier, it would find those of the future that began in between."""
STOPPED = "cancelled while an answer was lost"
"""The detail of a doubt whose plan is over, for its caller cancelled it: nothing more is sent, whatever becomes of the doubt."""
CALM_MS = 60_000
"""So long does nobody decide by a clock that has been stepped (engine/drift.py)."""


class Standing(Struct, frozen=True):
    """What the message's row must say. `wait` replaces what it had, unless `keep_wait`."""

    state: MessageState
    step: int
    calls: int
    backoff_s: float
    round: Round
    since: int
    token: str | None
    doubled: bool
    dead: bool
    wait: Wait | None = None
    keep_wait: bool = False
    reason: str | None = None
    detail: str = ""


class Place(NamedTuple):
    """What a message's row says of where it goes, or went: no provider where none was asked there."""

    channel: str | None
    address: str | None
    provider: str | None


def unknown() -> int | None:
    """What is the future is not known."""
    return None


def out_of_time(started_at: int, deadline_at: int, now: int, future: int | None) -> bool:
    """Whether nobody can be at work any more on an attempt that is open.

    `future`: what began later than that was timed by a clock that was ahead and has been set right, at least `CALM_MS` ago. Its
    deadline may be a day away, but its call is over, unless it was given more time than that."""
    void = future is not None and started_at > future and deadline_at - started_at <= CALM_MS
    return deadline_at <= now or void


def fold(message: MessageRecord, attempts: Sequence[AttemptRecord], now: int, decision: Decision | None = None) -> Standing:
    """What the message's row must say, given all its attempts after the evidence has joined."""
    best = max((a.state for a in attempts), default=AttemptState.SENDING)
    if best >= AttemptState.DELIVERED:
        return _over(message, attempts, MessageState.READ if best == AttemptState.READ else MessageState.DELIVERED)
    planned = [a for a in attempts if a.number > message.since]
    taken = any(state in _TAKEN for state in calls_of(planned))
    doubted = AttemptState.IN_DOUBT in calls_of(attempts)
    if decision is not None:
        taken = taken or (decision.state in _NEVER_SENT and any(state in _TAKEN for state in calls_of(attempts)))
        if taken:
            return _over(message, attempts, MessageState.SENT)
        if decision.state in _NEVER_SENT and doubted:
            decision = held_in_doubt(message)
        return _decided(message, attempts, decision)
    if message.token is not None and any(a.state == AttemptState.SENDING for a in attempts):
        return _as_it_is(message, attempts)
    if taken:
        return _over(message, attempts, MessageState.SENT)
    sent_before = message.state == MessageState.SENT and any(state in _TAKEN for state in calls_of(attempts))
    if sent_before or message.state not in _MAY_ADVANCE or not attempts:
        return _as_it_is(message, attempts)
    if is_stopped(message):
        return fold(message, attempts, now, stopped(message, attempts))
    if doubted:
        if message.on_doubt == "hold":
            return _decided(message, attempts, held_in_doubt(message))
        if message.state != MessageState.SENT and message.token is None:
            return _as_it_is(message, attempts)
    last = (planned or attempts)[-1]
    following = next_step(message, last.step, now, last.reason or Reason.UNKNOWN.value, last.detail)
    return fold(message, attempts, now, following)


def place_of(message: MessageRecord, standing: Standing, attempts: Sequence[AttemptRecord]) -> Place:
    """Where a message that stands so goes, or went: by the call that was taken, or the one in doubt; else by the step that it
    stands at, and by whoever was asked there last. An address that was erased stays so."""
    if standing.state in _ARRIVED:
        telling = [a for a in attempts if a.state in _TAKEN]
    elif standing.state == MessageState.IN_DOUBT:
        telling = [a for a in attempts if a.state == AttemptState.IN_DOUBT]
    else:
        telling = []
    last = max(telling, key=lambda a: (a.state, a.number), default=attempts[-1] if attempts else None)
    asked = last is not None and (bool(telling) or last.step == standing.step)
    step = last.step if last is not None and asked else standing.step
    if step >= len(message.steps):
        return Place(message.channel, message.address, message.provider)
    to = message.steps[step]
    return Place(to.channel, to.address or None, last.provider if last is not None and asked else None)


def may_decide(message: MessageRecord, token: str, number: int) -> bool:
    """True while the author of this claim may say what comes next: it holds the claim, or repair has taken it for lost
    and nobody has acted since. What it then says is better than a doubt; but not where its caller has cancelled the message."""
    if message.number != number:
        return False
    if message.state == MessageState.SENDING:
        return message.token is None or message.token == token
    return message.state == MessageState.IN_DOUBT and not is_stopped(message)


def calls_of(attempts: Sequence[AttemptRecord]) -> list[AttemptState]:
    """What is known of each call, of attempts in their order. A repeat that its provider knows by its key is the call that it
    repeats; an attempt of either that was never made, or was put off, says nothing of the other."""
    calls: dict[int, list[AttemptRecord]] = {}
    for a in attempts:
        told = calls.setdefault(a.repeats or a.number, [])
        if not _put_off(a):
            told.append(a)
    return [_of_call(told) for told in calls.values()]


def _of_call(told: Sequence[AttemptRecord]) -> AttemptState:
    """A refusal by an answer, which may come late, says nothing of what was taken after it: it kept nothing under the key."""
    counted = [a.state for a in told if a is told[-1] or a.state != AttemptState.REJECTED or a.ref is not None]
    return max(counted, default=AttemptState.FAILED)


def _put_off(attempt: AttemptRecord) -> bool:
    """Whether it was never made, or the provider said *later*: known by its reason, for no receipt speaks of it."""
    return attempt.state == AttemptState.FAILED and attempt.ref is None and attempt.reason in _NOT_TAKEN


def doubled(attempts: Sequence[AttemptRecord]) -> bool:
    """True when more than one call may have been taken by a provider, or one of them twice."""
    refs = {(a.repeats or a.number, a.ref) for a in attempts if a.ref is not None}
    twice = any(a.twice for a in attempts) or len(refs) > len({call for call, _ in refs})
    return twice or sum(state not in _REFUTED for state in calls_of(attempts)) > 1


def contradicts(attempt: AttemptRecord, said: AttemptState) -> bool:
    """Whether this is the first word of failure about what was delivered or read: it is noted, and changes no state."""
    return attempt.state >= AttemptState.DELIVERED and said in _REFUTED and attempt.reason in {None, Reason.LOST_ANSWER.value}


def words_of(attempt: AttemptRecord, said: AttemptState, reason: str | None, detail: str) -> tuple[str | None, str]:
    """Why it stands as it does, and the vendor's words for it, once this is said of it: those of the evidence that moved it, both
    together, and none of what was taken. What has arrived keeps the failure that was said of it: it is noted once."""
    if leaves(attempt, said, reason):
        return reason, detail
    if contradicts(attempt, said):
        return reason or Reason.UNKNOWN.value, detail
    if attempt.state.join(said) == attempt.state:
        return attempt.reason, attempt.detail
    if said in _REFUTED:
        return reason or Reason.UNKNOWN.value, detail
    if said >= AttemptState.DELIVERED:
        heard = attempt.state in _REFUTED or attempt.state >= AttemptState.DELIVERED
        return (attempt.reason, attempt.detail) if heard else (None, "")
    return reason, "" if reason is None else detail


def fails_first(attempt: AttemptRecord, said: AttemptState) -> bool:
    """Whether this is the first word of failure about an attempt, be it that it failed or that it was contradicted."""
    return said in _REFUTED and (contradicts(attempt, said) or attempt.state.join(said) != attempt.state)


def leaves(attempt: AttemptRecord, said: AttemptState, reason: str | None) -> bool:
    """Whether this is the first word that who has it wants no more: it is noted, and changes no state."""
    return reason == Reason.OPTED_OUT and said >= AttemptState.DELIVERED and attempt.reason != Reason.OPTED_OUT


def another(known: str | None, ref: str | None) -> bool:
    """Whether a provider's reference is not the one that it gave this attempt before."""
    return known is not None and ref is not None and known != ref


def next_step(message: MessageRecord, tried: int, now: int, reason: str, detail: str = "") -> Decision:
    """On to the step after the last that was tried, due at once; `failed` when there is none."""
    if tried + 1 < len(message.steps):
        return Decision(MessageState.QUEUED, tried + 1, wait=Wait("time", now), reason=reason, detail=detail)
    return Decision(MessageState.FAILED, message.step, calls=message.calls, reason=reason, detail=detail)


def doubt(of: Parcel | MessageRecord, lost: Lost, calls: int, now: int, patience: Patience, attempts_max: int) -> Decision:
    """The answer to a call was lost: held, or sent again when the provider's patience has brought
    no receipt; to the same provider, where that would know the repeat. After `attempts_max` calls it is held in any case:
    an answer that is lost again and again may have been a message each time."""
    round_ = of.round.anew(now)
    if patience.key_ms > 0 and not round_.repeats(lost.provider, lost.began_at):
        until = lost.began_at + patience.key_ms
        number, bound_until = lost.number, now + BOUND_MS
        round_ = replace(round_, keyed=lost.provider, keyed_number=number, keyed_until=until, bound_until=bound_until)
    if of.on_doubt == "hold" or calls >= attempts_max:
        return Decision(MessageState.IN_DOUBT, of.step, calls, round=round_, reason=Reason.LOST_ANSWER.value)
    wait = Wait("time", now + patience.wait_ms, until=now + patience.wait_ms)
    return Decision(MessageState.SENDING, of.step, calls, round=round_, wait=wait, reason=Reason.LOST_ANSWER.value)


def held_in_doubt(message: MessageRecord) -> Decision:
    """Nobody sends it again until somebody, or a receipt, says what became of it."""
    reason = Reason.LOST_ANSWER.value
    return Decision(MessageState.IN_DOUBT, message.step, message.calls, round=message.round, reason=reason)


def stopped(message: MessageRecord, attempts: Sequence[AttemptRecord]) -> Decision:
    """What a cancellation makes of a message that waits: nothing more is sent. It may call cancelled what was never sent; an answer
    that was lost leaves it in doubt."""
    if any(a.state == AttemptState.IN_DOUBT for a in attempts):
        return replace(held_in_doubt(message), detail=STOPPED)
    return Decision(MessageState.CANCELLED, message.step, calls=message.calls)


def is_stopped(message: MessageRecord) -> bool:
    """Whether it is in doubt, and was cancelled."""
    return message.state == MessageState.IN_DOUBT and message.detail == STOPPED


def sent_again(row: MessageRecord, now: int) -> Standing:
    """A person has a doubt sent again, due at once: first to whoever would know it for a repeat."""
    round_ = replace(row.round, later=(), bound_until=now + BOUND_MS)
    return replace(revived(row, now), step=row.step, round=round_, since=row.since)


def revived(row: MessageRecord, now: int) -> Standing:
    """A person has it sent from the first step, due at once, whatever its attempts say: a plan of its own."""
    return Standing(
        state=MessageState.QUEUED,
        step=0,
        calls=0,
        backoff_s=0,
        round=FRESH,
        since=row.number,
        token=None,
        doubled=row.doubled,
        dead=False,
        wait=Wait("time", now),
    )


def left_alone(row: MessageRecord) -> Standing:
    """Taken off the dead letters; nothing else of it changes."""
    return replace(_as_it_is(row, ()), doubled=row.doubled, dead=False)


def _over(message: MessageRecord, attempts: Sequence[AttemptRecord], state: MessageState) -> Standing:
    return Standing(
        state=state,
        step=message.step,
        calls=message.calls,
        backoff_s=0,
        round=FRESH,
        since=message.since,
        token=None,
        doubled=doubled(attempts),
        dead=False,
    )


def _decided(message: MessageRecord, attempts: Sequence[AttemptRecord], decision: Decision) -> Standing:
    return Standing(
        state=decision.state,
        step=decision.step,
        calls=decision.calls,
        backoff_s=decision.backoff_s,
        round=decision.round,
        since=message.since,
        token=None,
        doubled=doubled(attempts),
        dead=decision.state == MessageState.FAILED,
        wait=decision.wait,
        reason=decision.reason,
        detail=decision.detail,
    )


def _as_it_is(message: MessageRecord, attempts: Sequence[AttemptRecord]) -> Standing:
    return Standing(
        state=message.state,
        step=message.step,
        calls=message.calls,
        backoff_s=message.backoff_s,
        round=message.round,
        since=message.since,
        token=message.token,
        doubled=doubled(attempts),
        dead=message.dead,
        keep_wait=True,
        reason=message.reason,
        detail=message.detail,
    )
