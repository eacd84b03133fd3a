"""settle: what an outcome means for the message, written in one transaction with what comes next.

The decision is the claimer's and fenced by its claim; the evidence joins the attempt whatever became of the claim.
A next try is always a waiting row written here, then a poke: never commit first and publish after.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from sendwright.engine.account import Account
from sendwright.engine.crash import crashpoint
from sendwright.engine.fleet import Fleet
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, Ledger
from sendwright.engine.telling import Attempted, Parked, Settled, Tell
from sendwright.model.outcomes import Accepted, Later, Misconfigured, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.model.parcel import Parcel
from sendwright.model.records import Decision, Lost, Settlement, Wait
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy import fold
from sendwright.policy.reaction import Next, health, heard, react
from sendwright.policy.retry import believed_s, wait_s

DETAIL_MAX = 300


class RetrySettings(Struct, frozen=True):
    """The settings' `[retry]`."""

    attempts_max: int = 8
    base_s: float = 1
    cap_s: float = 3600


class Held(Struct, frozen=True):
    """A claim that was granted, and what it was granted for."""

    parcel: Parcel
    account: Account
    attempt: str
    number: int
    token: str
    probe: int
    claimed_at: float
    """Monotonic seconds: when the claim was asked for, at the earliest."""


class Settler:
    """The fourth story."""

    def __init__(
        self,
        ledger: Ledger,
        fleet: Fleet,
        clock: Clock,
        draw: Callable[[], float],
        retry: RetrySettings,
        tell: Tell,
        poke: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._clock = clock
        self._draw = draw
        self._retry = retry
        self._tell = tell
        self._poke = poke

    async def settle(self, held: Held, outcome: Outcome, seconds: float, *, called: bool = True, speaks: bool = True) -> None:
        """Records the outcome of a claimed attempt, and what the message does next.

        `called`: False when nothing left and the provider was not at fault; then it says nothing of its health. Nor does it
        without `speaks`: of a shared call one speaks for all."""
        self._note(held, outcome, seconds, says=called and speaks)
        now = self._clock.now_ms()
        decision = self.decide(held.parcel, held.account, outcome, now, probing=held.probe > 0)
        settlement = Settlement(
            attempt=held.attempt,
            message=held.parcel.id,
            number=held.number,
            token=held.token,
            state=_evidence(outcome, called=called),
            decision=decision,
            at=now,
            ref=outcome.ref if isinstance(outcome, Accepted) else None,
            reason=reason_of(outcome),
            detail=detail_of(outcome),
            lasting=not isinstance(outcome, Rejected) or outcome.scope == Scope.RECIPIENT,
        )
        crashpoint("settle.settling")
        state = await persist(lambda: self._ledger.settle(settlement), self._clock, self._tell, "settle")
        crashpoint("settle.settled")
        self._tell(Settled(held.parcel.id, state))
        if decision.wait is not None:
            self._tell(Parked(decision.wait.key, retry=True))
            self._poke()

    def decide(
        self, parcel: Parcel, account: Account, outcome: Outcome, now: int, *, probing: bool = False, called: bool = True
    ) -> Decision:
        """What the message does next, if nothing has happened to it meanwhile. `called`: False where it came to no call.

        A message that was let through to see whether its provider is well again, and was not taken, has lost nothing by
        it: else a long outage would use up the calls of the few that wait."""
        put_off = isinstance(outcome, Later) and (probing or outcome.alone or not outcome.called)
        spared = not called or put_off or isinstance(outcome, Misconfigured)
        parcel = replace(parcel, round=heard(parcel.round, account.name, outcome, now), calls=parcel.calls + (not spared))
        if isinstance(outcome, Accepted):
            following = Next.SENT
        else:
            following = react(outcome, self._fleet.left(parcel.channel, parcel.round, self._clock.monotonic(), now))
        reason, detail = reason_of(outcome), detail_of(outcome)
        if following == Next.NEXT_PROVIDER and parcel.calls >= self._retry.attempts_max:
            return after_step(parcel, now, reason or Reason.UNREACHABLE.value, detail)
        match following:
            case Next.SENT:
                return Decision(MessageState.SENT, parcel.step, calls=parcel.calls)
            case Next.NEXT_PROVIDER | Next.ALONE:
                wait = Wait("time", now)
                backoff_s = parcel.backoff_s
                return Decision(MessageState.QUEUED, parcel.step, parcel.calls, backoff_s, parcel.round, wait, reason, detail)
            case Next.RETRY_LATER if probing and self._fleet.shut(account.name, self._clock.monotonic()):
                return self._for_the_next_probe(parcel, account, now, reason, detail)
            case Next.RETRY_LATER:
                return self.retry_later(parcel, now, reason, detail)
            case Next.NEXT_STEP:
                return after_step(parcel, now, reason or Reason.REJECTED.value, detail)
            case Next.EXPIRE:
                return Decision(MessageState.EXPIRED, parcel.step, calls=parcel.calls, reason=reason)
            case Next.DOUBT:
                lost = Lost(account.name, parcel.number + 1, began_at=now - int(account.timeout_s * 1000))
                doubt = fold.doubt(parcel, lost, parcel.calls, now, account.patience, self._retry.attempts_max)
                return replace(doubt, detail=detail)

    def _for_the_next_probe(self, parcel: Parcel, account: Account, now: int, reason: str | None, detail: str) -> Decision:
        """Back to those that wait for the provider: with a backoff of its own, nobody would be there when a probe is due."""
        until = account.opens_at()
        until_ms = None if until is None else now + int((until - self._clock.monotonic()) * 1000)
        wait = Wait("provider", parcel.expires_at, key=f"route:{parcel.channel}", name=account.name, until=until_ms)
        round_, backoff_s = parcel.round.anew(now), parcel.backoff_s
        return Decision(MessageState.QUEUED, parcel.step, parcel.calls, backoff_s, round_, wait, reason, detail)

    def retry_later(self, parcel: Parcel, now: int, reason: str | None, detail: str) -> Decision:
        """A wait, then this step again: all but those that refused are asked anew, no sooner than any of them said."""
        if parcel.calls >= self._retry.attempts_max:
            return after_step(parcel, now, reason or Reason.UNREACHABLE.value, detail)
        round_ = replace(parcel.round, later=())
        delay_s = self._backoff(parcel, now)
        if delay_s is not None:
            due = now + int(delay_s * 1000)
        elif parcel.step + 1 < len(parcel.steps):
            return after_step(parcel, now, reason or Reason.UNREACHABLE.value, detail)
        else:
            due = parcel.expires_at or now  # the wait would outlast the message: it expires when its time comes
        wait = Wait("time", due, until=due)
        backoff_s = parcel.backoff_s if delay_s is None else delay_s
        return Decision(MessageState.QUEUED, parcel.step, parcel.calls, backoff_s, round_, wait, reason, detail)

    def _backoff(self, parcel: Parcel, now: int) -> float | None:
        """Seconds until the next try; None when it would expire before."""
        remaining_s = None if parcel.expires_at is None else (parcel.expires_at - now) / 1000
        asked_s, retry = parcel.round.alone_ms(now) / 1000, self._retry
        return wait_s(parcel.backoff_s, asked_s, retry.base_s, retry.cap_s, self._draw(), remaining_s=remaining_s)

    def _note(self, held: Held, outcome: Outcome, seconds: float, *, says: bool) -> None:
        """What this says of the provider, before anybody else chooses it."""
        self._tell(Attempted(held.parcel.channel, held.account.name, type(outcome).__name__.lower(), seconds))
        if not says:
            return
        now, account = self._clock.monotonic(), held.account
        # A sender that is throttled towards one recipient is no reason for others to wait.
        if isinstance(outcome, Later) and outcome.after_s and outcome.scope == Scope.ACCOUNT:
            until = now + believed_s(outcome.after_s)
            account.paused_until = account.paused_until if outcome.ill else max(account.paused_until, until)
        took_s = seconds if isinstance(outcome, Accepted | Rejected) else None
        self._fleet.note(account, health(outcome), now, probe=held.probe, why=why_of(outcome), seconds=took_s)


_EVIDENCE: dict[type, AttemptState] = {
    Accepted: AttemptState.SENT,
    Rejected: AttemptState.REJECTED,
    Later: AttemptState.FAILED,
    Unsure: AttemptState.IN_DOUBT,
    Misconfigured: AttemptState.FAILED,
}


def _evidence(outcome: Outcome, *, called: bool) -> AttemptState:
    """What an outcome shows. Of what was never written no provider said anything: it is no refusal."""
    return _EVIDENCE[type(outcome)] if called or not isinstance(outcome, Rejected) else AttemptState.FAILED


def after_step(parcel: Parcel, now: int, reason: str, detail: str) -> Decision:
    """On to the plan's next step, due at once; failed when there is none."""
    step = parcel.step + 1
    if step < len(parcel.steps):
        return Decision(MessageState.QUEUED, step, wait=Wait("time", now), reason=reason, detail=detail)
    return Decision(MessageState.FAILED, parcel.step, calls=parcel.calls, reason=reason, detail=detail)


def reason_of(outcome: Outcome) -> str | None:
    match outcome:
        case Accepted(left_out=left_out):
            return Reason.REJECTED.value if left_out else None
        case Rejected(reason=reason):
            return reason.value
        case Later():
            return Reason.UNREACHABLE.value if outcome.ill else Reason.LIMIT.value
        case Unsure():
            return Reason.LOST_ANSWER.value
        case Misconfigured():
            return Reason.MISCONFIGURED.value


def why_of(outcome: Outcome) -> str:
    """What the breaker says, in our words: a vendor's own could hold an address."""
    return "" if isinstance(outcome, Accepted) else (reason_of(outcome) or "")


def detail_of(outcome: Outcome) -> str:
    """The vendor's own words, printable and short."""
    return printable(outcome.left_out if isinstance(outcome, Accepted) else outcome.detail)


def printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:DETAIL_MAX])
