"""What comes after an outcome: the table scope × outcome → next, and what the outcome says of the provider.

Pure tables: who the next provider is, how long to wait and whether a step is left are others' questions.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec.structs import replace

from sendwright.model.outcomes import Accepted, Later, Misconfigured, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.model.parcel import Round
from sendwright.policy.breaker import Health
from sendwright.policy.retry import believed_s


class Next(StrEnum):
    SENT = "sent"
    """A provider took it."""
    ALONE = "alone"
    """At once on the same step, to the same provider if need be, in a call of its own."""
    NEXT_PROVIDER = "next_provider"
    """At once to the next healthy provider of the route, on the same step."""
    RETRY_LATER = "retry_later"
    """This message waits, then tries this step again."""
    NEXT_STEP = "next_step"
    """On to the plan's next step; failed where there is none."""
    EXPIRE = "expire"
    """Too late, whatever steps are left."""
    DOUBT = "doubt"
    """Nobody may send it again until the doubt is settled, or its `on_doubt` says so."""


_REJECTED = {
    Scope.CALL: Next.NEXT_PROVIDER,
    Scope.SENDER: Next.NEXT_PROVIDER,
    Scope.ACCOUNT: Next.NEXT_PROVIDER,
    Scope.RECIPIENT: Next.NEXT_STEP,
    Scope.CONTENT: Next.NEXT_STEP,
}
_LATER = {
    Scope.CALL: Next.NEXT_PROVIDER,
    Scope.ACCOUNT: Next.NEXT_PROVIDER,
    Scope.SENDER: Next.RETRY_LATER,
    Scope.RECIPIENT: Next.RETRY_LATER,
    Scope.CONTENT: Next.RETRY_LATER,
}


class Left(StrEnum):
    """Who of the route could still take the message, after this outcome."""

    OTHERS = "others"
    """A healthy provider that was not asked in this round."""
    SOME = "some"
    """Nobody now; but somebody only said *later*, or is unwell: not all have refused."""
    NOBODY = "nobody"
    """All have refused, for reasons of their own."""


def react(outcome: Outcome, left: Left = Left.OTHERS) -> Next:
    """What comes next. A refusal that was the provider's own takes the next step only when nobody is left who may yet
    take the message; all else that finds no others waits.

    Refused content takes the next step like every refusal: another channel has other rules for length, windows and words.
    """
    match outcome:
        case Accepted():
            return Next.SENT
        case Unsure():
            return Next.DOUBT
        case Rejected(reason=Reason.EXPIRED):
            return Next.EXPIRE
        case Rejected(scope=scope):
            otherwise = Next.RETRY_LATER if left == Left.SOME else Next.NEXT_STEP
            return _or_else(_REJECTED[scope], otherwise, left)
        case Later(alone=True):
            return Next.ALONE
        case Later(scope=scope):
            return _or_else(_LATER[scope], Next.RETRY_LATER, left)
        case Misconfigured():
            return _or_else(Next.NEXT_PROVIDER, Next.RETRY_LATER, left)


def heard(before: Round, provider: str, outcome: Outcome, now: int) -> Round:
    """The round after a provider's word. `now` in ms; who asked to be left alone is believed up to a day."""
    match outcome:
        case Rejected():
            keyed = None if before.keyed == provider else before.keyed  # a definite word: the doubt is over
            return replace(before, refused=(*before.refused, provider), keyed=keyed)
        case Later(alone=True):
            return replace(before, alone=True)  # it was no word of this message
        case Later():
            later = (*before.later, provider)
            asked_ms = int(believed_s(outcome.after_s) * 1000)
            if not asked_ms:
                return replace(before, later=later)  # who asked for nothing leaves no time of a clock that may be wrong
            return replace(before, later=later, asked_until=now + max(before.alone_ms(now), asked_ms), asked_at=now)
        case Misconfigured():
            return replace(before, later=(*before.later, provider))
        case _:
            return before


def health(outcome: Outcome) -> Health:
    """What the outcome says of its provider. A refusal is an answer like any other; being throttled says neither."""
    match outcome:
        case Accepted() | Rejected():
            return Health.GOOD
        case Later(ill=False):
            return Health.NEUTRAL
        case Later() | Unsure():
            return Health.BAD
        case Misconfigured():
            return Health.MISCONFIGURED


def _or_else(wish: Next, otherwise: Next, left: Left) -> Next:
    return otherwise if wish == Next.NEXT_PROVIDER and left != Left.OTHERS else wish
