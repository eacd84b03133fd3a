"""What comes after each outcome, in each scope."""

from __future__ import annotations

import pytest

from sendwright.model.outcomes import Accepted, Later, Misconfigured, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.model.parcel import Round
from sendwright.policy.breaker import Health
from sendwright.policy.reaction import Left, Next, health, heard, react

REJECTED = {
    Scope.CALL: (Next.NEXT_PROVIDER, Next.NEXT_STEP),
    Scope.RECIPIENT: (Next.NEXT_STEP, Next.NEXT_STEP),
    Scope.SENDER: (Next.NEXT_PROVIDER, Next.NEXT_STEP),
    Scope.CONTENT: (Next.NEXT_STEP, Next.NEXT_STEP),
    Scope.ACCOUNT: (Next.NEXT_PROVIDER, Next.NEXT_STEP),
}
LATER = {
    Scope.CALL: (Next.NEXT_PROVIDER, Next.RETRY_LATER),
    Scope.RECIPIENT: (Next.RETRY_LATER, Next.RETRY_LATER),
    Scope.SENDER: (Next.RETRY_LATER, Next.RETRY_LATER),
    Scope.CONTENT: (Next.RETRY_LATER, Next.RETRY_LATER),
    Scope.ACCOUNT: (Next.NEXT_PROVIDER, Next.RETRY_LATER),
}


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_of_a_refusal_with_and_without_another_provider(scope: Scope) -> None:
    refusal = Rejected(Reason.REJECTED, scope=scope)

    assert (react(refusal), react(refusal, Left.NOBODY)) == REJECTED[scope]


@pytest.mark.parametrize("scope", Scope)
def test_a_refusal_of_its_providers_own_waits_while_somebody_else_only_said_later(scope: Scope) -> None:
    own = REJECTED[scope][0] is Next.NEXT_PROVIDER

    assert react(Rejected(Reason.REJECTED, scope=scope), Left.SOME) is (Next.RETRY_LATER if own else Next.NEXT_STEP)


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_of_a_later_with_and_without_another_provider(scope: Scope) -> None:
    assert (react(Later(scope=scope)), react(Later(scope=scope), Left.SOME)) == LATER[scope]


@pytest.mark.parametrize("left", Left)
@pytest.mark.parametrize(("outcome", "found"), [(Accepted("SM1"), Next.SENT), (Unsure("reset"), Next.DOUBT)])
def test_what_was_taken_or_may_have_been_goes_to_nobody_else(outcome: Outcome, found: Next, left: Left) -> None:
    assert react(outcome, left) is found


def test_a_misconfigured_provider_is_passed_by_and_waited_for_when_it_is_the_only_one() -> None:
    assert react(Misconfigured("401")) is Next.NEXT_PROVIDER
    assert react(Misconfigured("401"), Left.SOME) is Next.RETRY_LATER


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason != Reason.EXPIRED])
def test_content_that_one_channel_refuses_may_be_right_for_the_next(reason: Reason) -> None:
    assert react(Rejected(reason, scope=Scope.CONTENT)) is Next.NEXT_STEP


@pytest.mark.parametrize("scope", Scope)
def test_what_expired_before_its_first_byte_goes_nowhere_else(scope: Scope) -> None:
    assert react(Rejected(Reason.EXPIRED, scope=scope)) is Next.EXPIRE


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason != Reason.EXPIRED])
def test_a_refused_recipient_is_tried_on_the_next_step_whatever_the_reason(reason: Reason) -> None:
    assert react(Rejected(reason)) is Next.NEXT_STEP


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Accepted(), Health.GOOD),
        *[(Rejected(Reason.REJECTED, scope=scope), Health.GOOD) for scope in Scope],
        (Later(ill=True), Health.BAD),
        (Later(ill=True, called=False), Health.BAD),
        (Later(ill=False, after_s=30), Health.NEUTRAL),
        (Unsure(), Health.BAD),
        (Misconfigured(), Health.MISCONFIGURED),
    ],
)
def test_what_each_outcome_says_of_its_provider(outcome: Outcome, said: Health) -> None:
    assert health(outcome) is said


def test_who_said_later_and_asked_for_nothing_leaves_no_time_of_a_clock_that_may_be_wrong() -> None:
    """A day ahead, and set right again: the message would wait for that day, for `asked_until` is never undercut."""
    a_day_ahead = 1_800_086_400_000
    assert heard(Round(), "one", Later(), a_day_ahead).asked_until == 0
    assert heard(Round(asked_until=7), "one", Later(after_s=-1), a_day_ahead).asked_until == 7
    assert heard(Round(), "one", Later(after_s=2), a_day_ahead).asked_until == a_day_ahead + 2000
