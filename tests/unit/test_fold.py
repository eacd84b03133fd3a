"""A message's state under every order of its receipts."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache

import pytest
from msgspec.structs import replace

from sendwright.model.notification import Priority
from sendwright.model.parcel import Round, Step
from sendwright.model.records import AttemptRecord, Decision, Lost, MessageRecord, Patience, Wait
from sendwright.model.states import AttemptState, MessageState, may_move
from sendwright.policy.fold import Standing, calls_of, doubled, doubt, fold, next_step

A = AttemptState
M = MessageState
NOW = 1_000
RECEIPTS = (A.SENT, A.REJECTED, A.FAILED, A.DELIVERED, A.READ)
LOST = Lost("twilio-main", 1, NOW)
ONE_STEP = (Step("sms", "+15005550001"),)
TWO_STEPS = (*ONE_STEP, Step("email", "a@example.com"))

World = tuple[MessageRecord, tuple[AttemptRecord, ...]]


def message(state: MessageState = M.SENDING, **fields: object) -> MessageRecord:
    given: dict[str, object] = {
        "id": "msg_1",
        "tenant": "default",
        "state": state,
        "step": 0,
        "number": 1,
        "steps": ONE_STEP,
        "priority": Priority.NORMAL,
        "on_doubt": "resend",
        "accepted_at": 0,
        "updated_at": 0,
        "calls": 1,
        "token": "mine" if state == M.SENDING else None,
    }
    return MessageRecord(**(given | fields))  # type: ignore[arg-type]


def attempt(number: int = 1, state: AttemptState = A.SENDING, step: int = 0) -> AttemptRecord:
    return AttemptRecord(
        id=f"att_{number}",
        message="msg_1",
        number=number,
        step=step,
        channel="sms",
        provider="twilio-main",
        state=state,
        started_at=0,
        deadline_at=10,
    )


@cache
def received(world: World, index: int, state: AttemptState) -> World:
    """As every store does it: the receipt joins its attempt, and the row says what the fold says."""
    row, attempts = world
    attempts = tuple(replace(a, state=a.state.join(state)) if i == index else a for i, a in enumerate(attempts))
    return written(row, fold(row, attempts, NOW)), attempts


def written(row: MessageRecord, standing: Standing) -> MessageRecord:
    return replace(
        row,
        state=standing.state,
        step=standing.step,
        calls=standing.calls,
        backoff_s=standing.backoff_s,
        round=standing.round,
        since=standing.since,
        token=standing.token,
        doubled=standing.doubled,
        dead=standing.dead,
        wait=row.wait if standing.keep_wait else standing.wait,
        reason=standing.reason,
        detail=standing.detail,
    )


def ends(world: World, length: int) -> dict[frozenset[tuple[tuple[int, AttemptState], int]], set[MessageState]]:
    """Every sequence of up to `length` receipts: the states that each collection of them ends in. Checks every move."""
    receipts = [(index, state) for index in range(len(world[1])) for state in RECEIPTS]
    found: dict[frozenset[tuple[tuple[int, AttemptState], int]], set[MessageState]] = {}
    level: list[tuple[World, tuple[tuple[int, AttemptState], ...]]] = [(world, ())]
    for _ in range(length):
        following = []
        for before, path in level:
            for receipt in receipts:
                after = received(before, *receipt)
                assert may_move(before[0].state, after[0].state), (before, receipt, after)
                if before[0].state >= M.DELIVERED:
                    assert after[0].state >= before[0].state, (before, receipt)
                found.setdefault(frozenset(Counter((*path, receipt)).items()), set()).add(after[0].state)
                following.append((after, (*path, receipt)))
        level = following
    return found


def waiting() -> Wait:
    return Wait("time", NOW + 30_000)


ONE_ATTEMPT = {
    "claimed": (message(), (attempt(),)),
    "sent": (message(M.SENT), (attempt(state=A.SENT),)),
    "doubted, to be sent again": (message(token=None, wait=waiting()), (attempt(state=A.IN_DOUBT),)),
    "doubted, held": (message(M.IN_DOUBT, on_doubt="hold"), (attempt(state=A.IN_DOUBT),)),
}

TWO_ATTEMPTS = {
    "retried and claimed": (message(number=2), (attempt(state=A.FAILED), attempt(2))),
    "retried and sent": (message(M.SENT, number=2), (attempt(state=A.FAILED), attempt(2, A.SENT))),
    "retried with a step left": (message(number=2, steps=TWO_STEPS), (attempt(state=A.FAILED), attempt(2))),
    "on the next step, claimed": (message(number=2, step=1, steps=TWO_STEPS), (attempt(state=A.REJECTED), attempt(2, step=1))),
    "on the next step, sent": (
        message(M.SENT, number=2, step=1, steps=TWO_STEPS),
        (attempt(state=A.REJECTED), attempt(2, A.SENT, step=1)),
    ),
    "sent again and sent": (message(M.SENT, number=2), (attempt(state=A.IN_DOUBT), attempt(2, A.SENT))),
}

TWO_ATTEMPTS_ONE_DOUBTED = {
    "sent again and claimed": (message(number=2), (attempt(state=A.IN_DOUBT), attempt(2))),
    "sent again, a step left": (
        message(M.SENT, number=2, steps=TWO_STEPS),
        (attempt(state=A.IN_DOUBT), attempt(2, A.SENT)),
    ),
    "held, sent again by hand": (message(number=2, on_doubt="hold"), (attempt(state=A.IN_DOUBT), attempt(2))),
}


@pytest.mark.parametrize("name", ONE_ATTEMPT)
def test_one_attempts_message_is_the_join_of_its_receipts_in_every_order(name: str) -> None:
    # given
    world = ONE_ATTEMPT[name]
    said = {A.SENT: M.SENT, A.REJECTED: M.FAILED, A.FAILED: M.FAILED, A.DELIVERED: M.DELIVERED, A.READ: M.READ}

    # when
    found = ends(world, 5)

    # then
    assert len(found) == 251  # collections of 1 to 5 out of five receipts
    for receipts, states in found.items():
        best = max([world[1][0].state, *(receipt[1] for receipt, _ in receipts)])
        assert states == {said[best]}, receipts


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO_ATTEMPTS)
def test_a_pair_of_attempts_comes_to_the_same_state_in_every_order(name: str) -> None:
    # given, when
    found = ends(TWO_ATTEMPTS[name], 5)

    # then
    assert len(found) == 3002  # collections of 1 to 5 out of ten receipts
    assert {receipts: states for receipts, states in found.items() if len(states) > 1} == {}


@pytest.mark.parametrize("name", TWO_ATTEMPTS)
def test_a_pair_with_one_delivery_is_delivered_whatever_else_is_said(name: str) -> None:
    for receipts, states in ends(TWO_ATTEMPTS[name], 3).items():
        best = max(state for (_, state), _ in receipts)
        if best >= A.DELIVERED:
            assert states == {M.READ if best == A.READ else M.DELIVERED}


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO_ATTEMPTS_ONE_DOUBTED)
def test_a_pair_with_an_older_doubt_comes_to_the_same_state_in_every_order(name: str) -> None:
    found = ends(TWO_ATTEMPTS_ONE_DOUBTED[name], 4)

    assert {receipts: states for receipts, states in found.items() if len(states) > 1} == {}


def test_a_repeated_receipt_does_not_take_a_failed_message_back_into_an_old_doubt() -> None:
    # given: held, sent again by hand, and that was refused
    attempts = (attempt(state=A.IN_DOUBT), attempt(2, A.FAILED))
    failed = message(M.FAILED, number=2, on_doubt="hold", dead=True)

    # when the refusal is reported once more
    standing = fold(failed, attempts, NOW)

    # then
    assert may_move(failed.state, standing.state)


def test_a_failure_that_overtakes_its_answer_is_not_hidden_by_an_older_doubt() -> None:
    # given: the first attempt's answer was lost, the second was claimed, and its receipt comes first
    attempts = (attempt(state=A.IN_DOUBT), attempt(2, A.FAILED))

    # when
    standing = fold(message(number=2), attempts, NOW)

    # then somebody will look at it again: nothing else would
    assert standing.state != M.SENDING or standing.wait is not None


def test_a_late_receipt_of_an_earlier_step_does_not_skip_the_step_that_was_never_tried() -> None:
    # given: it waits for its second step, while the first one's attempt is still in doubt
    world = (message(M.QUEUED, number=2, step=1, steps=TWO_STEPS), (attempt(state=A.IN_DOUBT), attempt(2, A.FAILED)))

    # when that attempt was taken after all, and then bounced
    world = received(received(world, 0, A.SENT), 0, A.FAILED)

    # then
    assert (world[0].state, world[0].step) == (M.QUEUED, 1)


def test_the_holders_decision_is_written_while_no_attempt_was_taken() -> None:
    decision = Decision(
        M.SCHEDULED, 0, calls=2, backoff_s=3.0, round=Round(("a",)), wait=waiting(), reason="unreachable", detail="503"
    )

    standing = fold(message(), (attempt(state=A.FAILED),), NOW, decision)

    assert standing == Standing(
        state=M.SCHEDULED,
        step=0,
        calls=2,
        backoff_s=3.0,
        round=Round(("a",)),
        since=0,
        token=None,
        doubled=False,
        dead=False,
        wait=waiting(),
        reason="unreachable",
        detail="503",
    )


@pytest.mark.parametrize(("evidence", "state"), [(A.SENT, M.SENT), (A.DELIVERED, M.DELIVERED), (A.READ, M.READ)])
def test_a_decision_to_try_again_yields_to_evidence_that_a_provider_took_it(evidence: AttemptState, state: MessageState) -> None:
    again = Decision(M.SCHEDULED, 0, wait=waiting())

    standing = fold(message(), (attempt(state=evidence), attempt(2, A.FAILED)), NOW, again)

    assert (standing.state, standing.wait, standing.token) == (state, None, None)


def test_a_receipt_for_an_older_attempt_does_not_end_a_message_whose_claim_is_open() -> None:
    world = (message(number=2), (attempt(state=A.IN_DOUBT), attempt(2)))

    row, _ = received(world, 0, A.SENT)

    assert (row.state, row.token, row.doubled) == (M.SENDING, "mine", True)


def test_a_delivery_ends_even_a_message_whose_claim_is_open() -> None:
    world = (message(number=2), (attempt(state=A.IN_DOUBT), attempt(2)))

    row, _ = received(world, 0, A.DELIVERED)

    assert (row.state, row.token) == (M.DELIVERED, None)


@pytest.mark.parametrize("state", [M.SCHEDULED, M.QUEUED])
def test_a_late_failure_leaves_a_waiting_message_waiting(state: MessageState) -> None:
    row, attempts = message(state, number=1, wait=waiting(), backoff_s=2.0), (attempt(state=A.FAILED),)

    standing = fold(row, attempts, NOW)

    assert standing.keep_wait
    assert written(row, standing) == row


@pytest.mark.parametrize("state", [M.EXPIRED, M.CANCELLED, M.SUPPRESSED])
def test_an_ended_message_is_moved_by_proof_alone(state: MessageState) -> None:
    world = (message(state), (attempt(state=A.REJECTED),))

    assert received(world, 0, A.FAILED)[0].state == state
    assert received(world, 0, A.DELIVERED)[0].state == M.DELIVERED


def test_a_failure_receipt_of_a_sent_message_starts_the_next_step_at_once() -> None:
    world = (message(M.SENT, steps=TWO_STEPS), (attempt(state=A.SENT),))

    row, _ = received(world, 0, A.FAILED)

    assert (row.state, row.step, row.calls, row.wait) == (M.QUEUED, 1, 0, Wait("time", NOW))


def test_a_message_whose_last_step_failed_is_dead_and_a_proof_takes_it_off_that_list() -> None:
    world = (message(M.SENT), (attempt(state=A.SENT),))

    failed = received(world, 0, A.FAILED)
    proven = received(failed, 0, A.DELIVERED)

    assert (failed[0].state, failed[0].dead) == (M.FAILED, True)
    assert (proven[0].state, proven[0].dead) == (M.DELIVERED, False)


@pytest.mark.parametrize(
    ("states", "may_be_double"),
    [
        ((), False),
        ((A.SENT,), False),
        ((A.REJECTED, A.SENT), False),
        ((A.FAILED, A.FAILED), False),
        ((A.IN_DOUBT, A.SENT), True),
        ((A.IN_DOUBT, A.SENDING), True),
        ((A.DELIVERED, A.FAILED, A.READ), True),
    ],
)
def test_a_message_may_be_double_when_two_attempts_are_not_refuted(states: tuple[AttemptState, ...], may_be_double: bool) -> None:
    assert doubled([attempt(i, state) for i, state in enumerate(states, 1)]) is may_be_double


REPEATED = [
    ((A.IN_DOUBT, A.SENDING), [A.IN_DOUBT]),
    ((A.IN_DOUBT, A.SENT), [A.SENT]),
    ((A.IN_DOUBT, A.REJECTED), [A.REJECTED]),
    ((A.IN_DOUBT, A.FAILED), [A.IN_DOUBT]),
    ((A.SENT, A.FAILED), [A.SENT]),
    ((A.FAILED, A.SENT), [A.SENT]),
    ((A.FAILED, A.FAILED), [A.FAILED]),
    ((A.DELIVERED, A.SENT), [A.DELIVERED]),
]


def off(row: AttemptRecord) -> AttemptRecord:
    """A failure is one that the provider put off, with nothing taken."""
    return replace(row, reason="unreachable") if row.state == A.FAILED else row


@pytest.mark.parametrize(("states", "calls"), REPEATED)
def test_a_repeat_that_its_provider_knows_is_the_same_call(states: tuple[AttemptState, ...], calls: list[AttemptState]) -> None:
    first, second = (off(attempt(i, state)) for i, state in enumerate(states, 1))
    repeat = replace(second, repeats=1)

    assert calls_of([first, repeat]) == calls
    assert not doubled([first, repeat])
    assert calls_of([first, second]) == list(states)


def test_a_repeat_that_was_given_another_reference_was_another_call_after_all() -> None:
    first, second = replace(attempt(1, A.SENT), ref="SM1"), replace(attempt(2, A.SENT), ref="SM2", repeats=1)

    assert doubled([first, second])
    assert not doubled([first, replace(second, ref="SM1")])


def test_a_repeat_that_failed_by_its_reference_failed_for_the_call_before_as_well() -> None:
    assert calls_of([attempt(1, A.IN_DOUBT), replace(attempt(2, A.FAILED), ref="SM1", repeats=1)]) == [A.FAILED]


def test_a_refusal_that_comes_late_says_nothing_of_the_repeat_that_was_made_after_it() -> None:
    first, repeat = attempt(1, A.REJECTED), replace(attempt(2, A.IN_DOUBT), repeats=1)
    assert calls_of([first, repeat]) == [A.IN_DOUBT]
    assert calls_of([attempt(1, A.IN_DOUBT), replace(attempt(2, A.REJECTED), repeats=1)]) == [A.REJECTED]
    assert calls_of([first, replace(attempt(2, A.REJECTED), repeats=1)]) == [A.REJECTED]
    assert calls_of([first, replace(attempt(2, A.SENT), repeats=1)]) == [A.SENT]
    assert calls_of([replace(first, ref="SM1"), replace(attempt(2, A.SENT), repeats=1)]) == [A.REJECTED]


def test_a_repeat_that_failed_by_a_receipt_without_a_reference_failed_for_the_call_before_as_well() -> None:
    first = replace(attempt(1, A.FAILED), reason="rejected")

    assert calls_of([first, replace(attempt(2, A.SENT), repeats=1)]) == [A.FAILED]


def test_a_repeat_belongs_to_its_own_call_whoever_was_asked_in_between() -> None:
    first, other, repeat = attempt(1, A.IN_DOUBT), attempt(2, A.FAILED), replace(attempt(3, A.SENT), repeats=1)

    assert calls_of([first, replace(other, ref="SM2"), repeat]) == [A.SENT, A.FAILED]
    assert not doubled([first, replace(other, state=A.REJECTED), repeat])


def test_two_references_of_one_call_are_two_messages_though_a_word_about_waiting_stood_between() -> None:
    first, between = replace(attempt(1, A.SENT), ref="SM1"), replace(attempt(2, A.FAILED), repeats=1, reason="limit")

    assert doubled([first, between, replace(attempt(3, A.SENT), ref="SM3", repeats=1)])
    assert not doubled([first, between, replace(attempt(3, A.SENT), ref="SM1", repeats=1)])


def test_what_came_to_nothing_when_it_was_sent_again_stays_as_it_was_whatever_more_is_heard_of_it() -> None:
    row = message(M.SENT, since=1, steps=TWO_STEPS)

    assert fold(row, (replace(attempt(1, A.SENT), twice=True),), NOW).state == M.SENT


@pytest.mark.parametrize("end", [M.FAILED, M.EXPIRED])
def test_a_plan_of_its_own_that_ends_leaves_the_message_sent_in_doubt_or_ended(end: MessageState) -> None:
    row = message(M.QUEUED, since=1, number=2)
    new = attempt(2, A.FAILED)

    found = [fold(row, (attempt(1, old), new), NOW, Decision(end, 0)).state for old in (A.SENT, A.IN_DOUBT, A.FAILED)]

    assert found == [M.SENT, M.IN_DOUBT, end]


@pytest.mark.parametrize(("calls", "state"), [(7, MessageState.SENDING), (8, MessageState.IN_DOUBT), (9, MessageState.IN_DOUBT)])
def test_a_doubt_of_the_last_call_is_held(calls: int, state: MessageState) -> None:
    decision = doubt(message(), LOST, calls, NOW, Patience(30_000), 8)
    assert (decision.state, decision.wait is None) == (state, state == MessageState.IN_DOUBT)


def test_a_doubt_that_is_held_waits_for_nothing_and_one_to_be_sent_again_waits_its_patience() -> None:
    held = doubt(message(step=1, on_doubt="hold"), LOST, 3, NOW, Patience(30_000), 8)
    again = doubt(message(step=1), LOST, 3, NOW, Patience(30_000), 8)

    assert (held.state, held.wait, held.step, held.calls) == (M.IN_DOUBT, None, 1, 3)
    assert (again.state, again.wait) == (M.SENDING, Wait("time", 31_000, until=31_000))
    assert held.reason == again.reason == "lost_answer"


def test_the_next_step_starts_afresh_and_after_the_last_the_message_has_failed() -> None:
    first = next_step(message(steps=TWO_STEPS, calls=8), 0, NOW, "rejected", "no such number")
    last = next_step(message(steps=TWO_STEPS, step=1, calls=8), 1, NOW, "rejected", "no such mailbox")

    assert (first.state, first.step, first.calls, first.wait) == (M.QUEUED, 1, 0, Wait("time", NOW))
    assert (last.state, last.step, last.wait, last.reason) == (M.FAILED, 1, None, "rejected")


def test_every_decision_that_a_claim_may_bring_is_a_legal_move() -> None:
    decisions = [
        doubt(message(on_doubt=on_doubt), LOST, 1, NOW, Patience(0), 8)
        if on_doubt
        else next_step(message(steps=steps), 0, NOW, "rejected")
        for on_doubt, steps in itertools.product(("resend", "hold", None), (ONE_STEP, TWO_STEPS))
    ]
    for decision, evidence in itertools.product(decisions, A):
        standing = fold(message(), (attempt(state=evidence),), NOW, decision)
        assert may_move(M.SENDING, standing.state)


def test_a_claimer_that_was_taken_for_dead_may_still_say_that_time_was_up_before_it_wrote() -> None:
    """Repair put its attempt in doubt, and the message is held; then it looks at the clock before its first byte, and does not
    write. Nothing was sent, and it says so: late decisions hold while only repair has acted (ADR 12)."""
    held = message(M.IN_DOUBT, on_doubt="hold")
    never_written = replace(attempt(state=A.IN_DOUBT), state=A.IN_DOUBT.join(A.FAILED), reason="expired")
    standing = fold(held, [never_written], NOW, Decision(M.EXPIRED, 0, calls=1, reason="expired"))
    assert standing.state == M.EXPIRED
    assert may_move(held.state, standing.state)
