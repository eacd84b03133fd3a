"""What comes after an outcome: the table scope × outcome → next, and what the outcome says of the provider.

Pure tables: who the next provider is, how long to wait and whether a step is left are others' questions.
"""

from __future__ import annotations

from enum import StrEnum

from sendwright.model.outcomes import Accepted, Later, Misconfigured, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.policy.breaker import Health


class Next(StrEnum):
    SENT = "sent"
    """A provider took it."""
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


def react(outcome: Outcome, *, others: bool = True) -> Next:
    """What comes next. `others`: the route has a healthy provider that was not tried in this round.

    Without others, a refusal that was the provider's own takes the next step, and all else waits.

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
            return _or_else(_REJECTED[scope], Next.NEXT_STEP, others=others)
        case Later(scope=scope):
            return _or_else(_LATER[scope], Next.RETRY_LATER, others=others)
        case Misconfigured():
            return _or_else(Next.NEXT_PROVIDER, Next.RETRY_LATER, others=others)


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


def _or_else(wish: Next, otherwise: Next, *, others: bool) -> Next:
    return otherwise if wish == Next.NEXT_PROVIDER and not others else wish
