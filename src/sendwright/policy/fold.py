"""A message's state is a fold over its attempts: evidence joins, decisions are fenced.

Every store calls `fold` inside the transaction that changed an attempt, so that two receipts, a receipt and an answer,
or a repair and an answer come to the same end in whichever order they commit. A `Decision` is passed only when its
author still holds the claim; without one, the fold says what the evidence alone makes of the message.

The rules, first match wins:
  1. any attempt read or delivered: so is the message, for good
  2. any attempt taken by a provider (and none open that holds the claim): sent; its plan is over
  3. the holder's decision; but nobody may call expired, which means never sent, what is in doubt
  4. an attempt is open: sending
  5. a doubt that is held: in doubt; one that waits to be sent again: as it waits
  6. every attempt failed: what waits goes on waiting; what was sent, open or in doubt takes the next step, or fails
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sendwright.model.notification import OnDoubt
from sendwright.model.outcomes import Reason
from sendwright.model.records import AttemptRecord, Decision, MessageRecord, Wait
from sendwright.model.states import AttemptState, MessageState

_TAKEN = frozenset({AttemptState.SENT, AttemptState.DELIVERED, AttemptState.READ})
_REFUTED = frozenset({AttemptState.REJECTED, AttemptState.FAILED})
_MAY_ADVANCE = frozenset({MessageState.SENDING, MessageState.SENT, MessageState.IN_DOUBT})


class Standing(Struct, frozen=True):
    """What the message's row must say. `wait` replaces what it had, unless `keep_wait`."""

    state: MessageState
    step: int
    calls: int
    backoff_s: float
    tried: tuple[str, ...]
    token: str | None
    doubled: bool
    dead: bool
    wait: Wait | None = None
    keep_wait: bool = False
    reason: str | None = None
    detail: str = ""


def fold(message: MessageRecord, attempts: Sequence[AttemptRecord], now: int, decision: Decision | None = None) -> Standing:
    """What the message's row must say, given all its attempts after the evidence has joined."""
    best = max((a.state for a in attempts), default=AttemptState.SENDING)
    if best >= AttemptState.DELIVERED:
        return _over(message, attempts, MessageState.READ if best == AttemptState.READ else MessageState.DELIVERED)
    taken = any(a.state in _TAKEN for a in attempts)
    doubted = any(a.state == AttemptState.IN_DOUBT for a in attempts)
    if decision is not None:
        if decision.state == MessageState.EXPIRED and doubted:
            decision = held_in_doubt(message.step, message.calls)
        return _over(message, attempts, MessageState.SENT) if taken else _decided(attempts, decision)
    if message.token is not None and any(a.state == AttemptState.SENDING for a in attempts):
        return _as_it_is(message, attempts)
    if taken:
        return _over(message, attempts, MessageState.SENT)
    if message.state not in _MAY_ADVANCE or not attempts:
        return _as_it_is(message, attempts)
    if doubted:
        if message.on_doubt == "hold":
            return _decided(attempts, held_in_doubt(message.step, message.calls))
        if message.state != MessageState.SENT and message.token is None:
            return _as_it_is(message, attempts)
    last = attempts[-1]
    return _decided(attempts, next_step(message, last.step, now, last.reason or Reason.UNKNOWN.value, last.detail))


def may_decide(message: MessageRecord, token: str, number: int) -> bool:
    """True while the author of this claim may say what comes next: it holds the claim, or repair has taken it for lost
    and nobody has acted since. What it then says is better than a doubt."""
    if message.number != number:
        return False
    if message.state == MessageState.SENDING:
        return message.token is None or message.token == token
    return message.state == MessageState.IN_DOUBT


def doubled(attempts: Sequence[AttemptRecord]) -> bool:
    """True when more than one attempt may have been taken by a provider, or one of them twice."""
    return any(a.twice for a in attempts) or sum(a.state not in _REFUTED for a in attempts) > 1


def contradicts(attempt: AttemptRecord, said: AttemptState) -> bool:
    """Whether this is the first word of failure about what was delivered or read: it is noted, and changes no state."""
    return attempt.state >= AttemptState.DELIVERED and said in _REFUTED and attempt.reason in {None, Reason.LOST_ANSWER.value}


def another(known: str | None, ref: str | None) -> bool:
    """Whether a provider's reference is not the one that it gave this attempt before."""
    return known is not None and ref is not None and known != ref


def next_step(message: MessageRecord, tried: int, now: int, reason: str, detail: str = "") -> Decision:
    """On to the step after the last that was tried, due at once; `failed` when there is none."""
    if tried + 1 < len(message.steps):
        return Decision(MessageState.QUEUED, tried + 1, wait=Wait("time", now), reason=reason, detail=detail)
    return Decision(MessageState.FAILED, message.step, calls=message.calls, reason=reason, detail=detail)


def doubt(on_doubt: OnDoubt, step: int, calls: int, now: int, patience_ms: int, attempts_max: int) -> Decision:
    """An answer was lost: held, or sent again when `patience_ms` have brought no receipt. After `attempts_max` calls it is
    held in any case: an answer that is lost again and again may have been a message each time."""
    if on_doubt == "hold" or calls >= attempts_max:
        return held_in_doubt(step, calls)
    wait = Wait("time", now + patience_ms, until=now + patience_ms)
    return Decision(MessageState.SENDING, step, calls=calls, wait=wait, reason=Reason.LOST_ANSWER.value)


def held_in_doubt(step: int, calls: int) -> Decision:
    """Nobody sends it again until somebody, or a receipt, says what became of it."""
    return Decision(MessageState.IN_DOUBT, step, calls=calls, reason=Reason.LOST_ANSWER.value)


def _over(message: MessageRecord, attempts: Sequence[AttemptRecord], state: MessageState) -> Standing:
    return Standing(
        state=state,
        step=message.step,
        calls=message.calls,
        backoff_s=0,
        tried=(),
        token=None,
        doubled=doubled(attempts),
        dead=False,
    )


def _decided(attempts: Sequence[AttemptRecord], decision: Decision) -> Standing:
    return Standing(
        state=decision.state,
        step=decision.step,
        calls=decision.calls,
        backoff_s=decision.backoff_s,
        tried=decision.tried,
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
        tried=message.tried,
        token=message.token,
        doubled=doubled(attempts),
        dead=message.dead,
        keep_wait=True,
        reason=message.reason,
        detail=message.detail,
    )
