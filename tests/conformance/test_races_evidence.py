"""Pairs of port methods that touch one message, in both orders: what answers, receipts, waits and readers meet.

What must hold is said in test_races.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sendwright.model.notification import Priority
from sendwright.model.records import Cancelled, Event, Refused, Sighted, Switch
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    claim,
    claimed,
    in_doubt,
    kinds_of,
    later,
    lost,
    message_of,
    planned,
    receipt,
    scheduled,
    sent,
)
from tests.conformance.racing import (
    INTERLEAVINGS,
    KEY,
    Call,
    Interleaving,
    assert_consistent,
    cancelling,
    observing,
    parking,
    promoting,
    race,
    repairing,
    settling,
    spelled,
)

backend = every_backend()

pytestmark = [pytest.mark.parametrize("order", INTERLEAVINGS, ids=spelled), pytest.mark.slow]

A = AttemptState
M = MessageState


# What answers meet


async def test_an_answer_that_comes_while_repair_gives_it_up_is_believed(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await race(backend, order, settling(backend, accepted(parcel, held, ref="SM1")), repairing(backend))
    row = await assert_consistent(backend, parcel)
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (row.state, row.doubled, attempt.state, attempt.ref) == (M.SENT, False, A.SENT, "SM1")


async def test_a_held_doubt_that_repair_makes_beside_the_answer_is_moved_on(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger, on_doubt="hold")
    held = await claimed(backend.ledger, parcel)
    await race(backend, order, settling(backend, accepted(parcel, held)), repairing(backend))
    assert (await assert_consistent(backend, parcel)).state == M.SENT


async def test_a_retry_that_is_decided_while_repair_gives_the_call_up_waits_once(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    await race(backend, order, settling(backend, later(parcel, held)), repairing(backend))
    row = await assert_consistent(backend, parcel)
    assert (row.state, row.step, row.wait.due_at) == (M.QUEUED, 0, NOW + MINUTE)
    assert len(await backend.waiting.due(NOW + MINUTE, 10)) == 1


async def test_one_settlement_that_is_repeated_is_told_once(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    settlement = accepted(parcel, held)
    raced = await race(backend, order, settling(backend, settlement), settling(backend, settlement))
    assert raced[:2] == (M.SENT, M.SENT)
    assert await kinds_of(backend, parcel) == ["message.sent"]


@pytest.mark.parametrize("by", ["id", "reference"])
async def test_a_receipt_and_the_answer_that_it_overtakes_both_count(backend: UnderTest, order: Interleaving, by: str) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    seen = receipt(A.DELIVERED, held.attempt) if by == "id" else receipt(A.DELIVERED, ref="SM1")
    await race(backend, order, settling(backend, accepted(parcel, held, ref="SM1")), observing(backend, seen))
    row = await assert_consistent(backend, parcel)
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (row.state, attempt.state, attempt.ref) == (M.DELIVERED, A.DELIVERED, "SM1")


@pytest.mark.parametrize("by", ["id", "reference"])
async def test_a_receipt_of_failure_beside_its_answer_starts_the_next_step_once(
    backend: UnderTest, order: Interleaving, by: str
) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL, SMS))
    held = await claimed(backend.ledger, parcel)
    seen = receipt(A.FAILED, held.attempt) if by == "id" else receipt(A.FAILED, ref="SM1")
    await race(backend, order, settling(backend, accepted(parcel, held, ref="SM1")), observing(backend, seen))
    row = await assert_consistent(backend, parcel)
    assert (row.state, row.step, row.number) == (M.QUEUED, 1, 1)
    assert len(await backend.waiting.due(NOW, 10)) == 1


async def test_a_retry_that_is_cancelled_while_it_is_decided_waits_or_is_cancelled(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    raced = await race(backend, order, settling(backend, later(parcel, held)), cancelling(backend, parcel))
    row = await assert_consistent(backend, parcel)
    assert raced.second in {Cancelled(cancelled=1), Cancelled(too_late=1)}
    assert row.state == (M.CANCELLED if raced.second.cancelled else M.QUEUED)


async def test_a_delivery_that_is_seen_while_repair_gives_the_call_up_stands(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await race(backend, order, observing(backend, receipt(A.DELIVERED, held.attempt)), repairing(backend))
    assert (await assert_consistent(backend, parcel)).state == M.DELIVERED


# What receipts meet


async def test_delivered_beside_failed_is_delivered(backend: UnderTest, order: Interleaving) -> None:
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    one, two = receipt(A.DELIVERED, held.attempt), receipt(A.FAILED, held.attempt)
    await race(backend, order, observing(backend, one), observing(backend, two))
    assert (await assert_consistent(backend, parcel)).state == M.DELIVERED


@pytest.mark.parametrize("state", [A.DELIVERED, A.FAILED], ids=str)
async def test_one_receipt_that_is_repeated_moves_the_message_once(
    backend: UnderTest, order: Interleaving, state: AttemptState
) -> None:
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL, SMS))
    again = receipt(state, held.attempt)
    raced = await race(backend, order, observing(backend, again), observing(backend, again))
    answers: list[Sighted] = list(raced[:2])
    assert sum(answer.before != answer.after for answer in answers) == 1
    row = await assert_consistent(backend, parcel)
    assert row.step == int(state == A.FAILED)
    assert len(await kinds_of(backend, parcel)) == 2


async def test_receipts_of_two_attempts_of_one_message_both_count(backend: UnderTest, order: Interleaving) -> None:
    # given: a doubt and its repetition, which may both have been taken
    parcel = await planned(backend.ledger)
    first = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, first))
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    second = await claimed(backend.ledger, again, "token-2")
    await backend.ledger.settle(accepted(again, second, "token-2"))
    # when
    one, two = receipt(A.FAILED, first.attempt), receipt(A.DELIVERED, second.attempt)
    await race(backend, order, observing(backend, one), observing(backend, two))
    # then
    row = await assert_consistent(backend, parcel)
    assert (row.state, row.doubled) == (M.DELIVERED, False)
    assert [attempt.state for attempt in await backend.records.attempts(parcel.id)] == [A.FAILED, A.DELIVERED]


async def test_a_failure_that_is_seen_while_the_message_is_cancelled_goes_on_or_is_stopped(
    backend: UnderTest, order: Interleaving
) -> None:
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    raced = await race(backend, order, observing(backend, receipt(A.FAILED, held.attempt)), cancelling(backend, parcel))
    row = await assert_consistent(backend, parcel)
    assert raced.second in {Cancelled(cancelled=1), Cancelled(too_late=1)}
    assert row.state == (M.CANCELLED if raced.second.cancelled else M.QUEUED)


@pytest.mark.parametrize("verdict", ["sent", "failed", "resend"])
async def test_a_delivery_beside_a_persons_word_is_believed(backend: UnderTest, order: Interleaving, verdict: str) -> None:
    parcel, held = await in_doubt(backend.ledger)
    resolving = Call("resolve", lambda: backend.ledger.resolve(TENANT, parcel.id, verdict, NOW))
    await race(backend, order, resolving, observing(backend, receipt(A.DELIVERED, held.attempt)))
    row = await assert_consistent(backend, parcel)
    assert (row.state, row.dead) == (M.DELIVERED, False)


# What waits meets


async def test_a_message_that_is_parked_while_it_is_cancelled_waits_for_nothing(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    raced = await race(backend, order, parking(backend, parcel), cancelling(backend, parcel))
    assert raced.second == Cancelled(cancelled=1)
    assert (await assert_consistent(backend, parcel)).state == M.CANCELLED
    assert await backend.waiting.parked() == {}


async def test_a_message_that_is_promoted_while_it_is_cancelled_stays_cancelled(backend: UnderTest, order: Interleaving) -> None:
    message = await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    raced = await race(backend, order, promoting(backend, parcel), cancelling(backend, message))
    assert raced.second == Cancelled(cancelled=1)
    assert (await assert_consistent(backend, message)).state == M.CANCELLED
    assert await backend.ledger.claim(claim(parcel)) == Refused("state")


async def test_a_message_that_is_parked_anew_while_it_is_promoted_keeps_its_new_wait(
    backend: UnderTest, order: Interleaving
) -> None:
    await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    raced = await race(backend, order, promoting(backend, parcel), parking(backend, parcel))
    assert raced.second is True
    row = await assert_consistent(backend, parcel)
    assert row.wait.key == KEY
    assert [pulled.id for pulled in await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})] == [parcel.id]


async def test_two_reports_of_one_complaint_that_cross_tell_it_once(backend: UnderTest, order: Interleaving) -> None:
    parcel, held = await sent(backend.ledger)
    complaint = observing(backend, receipt(A.DELIVERED, held.attempt, happened="complained", more="abuse"))
    await race(backend, order, complaint, complaint)
    assert await kinds_of(backend, parcel) == ["message.sent", "message.delivered", "message.complained"]


async def test_a_message_that_ends_while_it_is_cancelled_ends_once(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    ending = Call("end", lambda: backend.ledger.end(parcel, M.FAILED, "no_provider", "", NOW))
    raced = await race(backend, order, ending, cancelling(backend, parcel))
    row = await assert_consistent(backend, parcel)
    assert raced.second == (Cancelled(too_late=1) if raced.first else Cancelled(cancelled=1))
    assert (row.state, row.dead) == ((M.FAILED, True) if raced.first else (M.CANCELLED, False))
    assert len(await kinds_of(backend, parcel)) == 1


async def test_a_message_that_advances_while_it_is_cancelled_is_cancelled(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    advancing = Call("advance", lambda: backend.ledger.advance(parcel, 1, "unreachable", "", NOW))
    raced = await race(backend, order, advancing, cancelling(backend, parcel))
    assert raced.second == Cancelled(cancelled=1)
    assert (await assert_consistent(backend, parcel)).state == M.CANCELLED


async def test_two_cancellations_tell_the_same_and_once(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    raced = await race(backend, order, cancelling(backend, parcel), cancelling(backend, parcel))
    assert raced[:2] == (Cancelled(cancelled=1), Cancelled(cancelled=1))
    assert await kinds_of(backend, parcel) == ["message.cancelled"]


async def test_a_dead_letter_that_is_replayed_twice_is_queued_once(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.end(parcel, M.FAILED, "no_provider", "", NOW)
    reviving = Call("revive", lambda: backend.ledger.revive(TENANT, parcel.id, NOW))
    raced = await race(backend, order, reviving, reviving)
    assert sorted(raced[:2]) == [False, True]
    assert (await assert_consistent(backend, parcel)).state == M.QUEUED
    assert len(await backend.waiting.due(NOW, 10)) == 1


async def test_a_dead_letter_is_replayed_though_it_is_dropped_meanwhile(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.end(parcel, M.FAILED, "no_provider", "", NOW)
    reviving = Call("revive", lambda: backend.ledger.revive(TENANT, parcel.id, NOW))
    dropping = Call("drop", lambda: backend.ledger.drop(TENANT, parcel.id, NOW))
    raced = await race(backend, order, reviving, dropping)
    assert raced.first is True
    row = await assert_consistent(backend, parcel)
    assert (row.state, row.dead) == (M.QUEUED, False)


async def test_two_settings_of_a_switch_get_two_epochs(backend: UnderTest, order: Interleaving) -> None:
    one, two = Switch("twilio-main", weight=1), Switch("twilio-main", weight=2)
    raced = await race(
        backend, order, Call("set", lambda: backend.switchboard.set(one)), Call("set", lambda: backend.switchboard.set(two))
    )
    last = one if raced.first > raced.second else two
    assert await backend.switchboard.read() == (max(raced[:2]), [last])
    assert raced.first != raced.second


# What readers see


def reading(backend: UnderTest) -> Call:
    return Call("events", lambda: backend.records.events(TENANT, 0, 100), reads=True)


async def test_a_reader_sees_no_event_before_its_commit_and_goes_on_after_it_without_a_gap(
    backend: UnderTest, order: Interleaving
) -> None:
    # given
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    # when
    raced = await race(backend, order, settling(backend, accepted(parcel, held)), reading(backend))
    # then
    shown: list[Event] = list(raced.second)
    if raced.overtook:
        assert [event.type for event in shown] == ["notification.accepted"]
    rest = await backend.records.events(TENANT, shown[-1].seq if shown else 0, 100)
    assert shown + list(rest) == list(await backend.records.events(TENANT, 0, 100))
    assert [event.type for event in [*shown, *rest]] == ["notification.accepted", "message.sent"]


async def test_a_reader_that_follows_two_writers_misses_neither(backend: UnderTest, order: Interleaving) -> None:
    # given
    parcels = [await planned(backend.ledger) for _ in range(2)]
    one, two = [settling(backend, accepted(p, await claimed(backend.ledger, p, p.id), p.id)) for p in parcels]
    shown: list[Event] = []

    async def follow() -> None:
        while len(shown) < 4:
            shown.extend(await backend.records.events(TENANT, shown[-1].seq if shown else 0, 100))
            await asyncio.sleep(0)

    # when
    follower = asyncio.ensure_future(follow())
    await race(backend, order, one, two)
    # then
    await asyncio.wait_for(follower, 20)
    assert shown == list(await backend.records.events(TENANT, 0, 100))


@pytest.mark.parametrize("what", ["message", "attempts", "due", "counts"])
async def test_nothing_of_a_transaction_is_seen_before_its_commit(backend: UnderTest, order: Interleaving, what: str) -> None:
    # given
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    reads: dict[str, Callable[[], Any]] = {
        "message": lambda: message_of(backend, parcel),
        "attempts": lambda: backend.records.attempts(parcel.id),
        "due": lambda: backend.waiting.due(NOW + MINUTE, 10),
        "counts": lambda: backend.records.notification(TENANT, f"ntf_{parcel.id[4:36]}"),
    }
    # when
    raced = await race(backend, order, settling(backend, later(parcel, held)), Call(what, reads[what], reads=True))
    # then
    seen = raced.second
    before = {
        "message": lambda: seen.state == M.SENDING and seen.wait is None,
        "attempts": lambda: seen[0].state == A.SENDING,
        "due": lambda: list(seen) == [],
        "counts": lambda: seen.counts == {M.SENDING: 1},
    }
    after = {
        "message": lambda: seen.state == M.QUEUED and seen.wait is not None,
        "attempts": lambda: seen[0].state == A.FAILED,
        "due": lambda: len(seen) == 1,
        "counts": lambda: seen.counts == {M.QUEUED: 1},
    }
    assert before[what]() or (after[what]() and not raced.overtook)
