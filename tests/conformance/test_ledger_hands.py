"""What every ledger promises (engine/ports.py, Ledger): cancel, resolve, revive, drop, and repair."""

from __future__ import annotations

import pytest

from sendwright.model.ids import message_id
from sendwright.model.parcel import Parcel
from sendwright.model.records import Cancelled, Patience, Wait
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    birth,
    claim,
    claimed,
    in_doubt,
    kinds_of,
    later,
    lost,
    message_of,
    new_id,
    plan,
    planned,
    receipt,
    refused,
    rejected,
    scheduled,
    sent,
    state_of,
)

backend = every_backend()

A = AttemptState


def everybody_lives(_: str) -> bool:
    return True


def nobody_lives(_: str) -> bool:
    return False


def half_a_minute(_: str) -> Patience:
    return Patience(30_000)


async def failed(backend: UnderTest, **changed: object) -> Parcel:
    parcel = await planned(backend.ledger, **changed)
    await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    return parcel


# Cancel


async def test_cancelling_counts_what_was_stopped_and_what_was_too_late(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    births = [birth(ntf, ordinal) for ordinal in range(6)]
    births += [birth(ntf, 6, state=MessageState.SCHEDULED, wait=Wait("time", NOW + MINUTE))]
    births += [birth(ntf, 7, (), state=MessageState.FAILED, reason="no_address")]
    ((queued, parked, retried, open_, doubted, taken),) = await backend.ledger.plan([plan(*births, notification=ntf)])
    await backend.ledger.park(parked, Wait("rate", None, key="provider:x"), NOW)
    await backend.ledger.settle(later(retried, await claimed(backend.ledger, retried)))
    await claimed(backend.ledger, open_)
    await backend.ledger.settle(lost(doubted, await claimed(backend.ledger, doubted)))
    await backend.ledger.settle(accepted(taken, await claimed(backend.ledger, taken)))
    # when
    answer = await backend.ledger.cancel(TENANT, ntf, NOW + 9)
    # then: queued, parked, retried and scheduled; open, doubted, taken and failed
    assert answer == Cancelled(cancelled=4, too_late=4)
    for parcel in (queued, parked, retried, message_id(ntf, 6)):
        row = await message_of(backend, parcel)
        assert (row.state, row.wait, row.updated_at, row.dead) == (MessageState.CANCELLED, None, NOW + 9, False)
    assert await state_of(backend, open_) == MessageState.SENDING
    assert await state_of(backend, taken) == MessageState.SENT
    assert await state_of(backend, doubted) == MessageState.IN_DOUBT
    assert await backend.waiting.parked() == {}


async def test_cancelling_again_gives_the_same_answer_and_tells_it_once(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    notification = f"ntf_{parcel.id[4:36]}"
    answers = [await backend.ledger.cancel(TENANT, notification, NOW + turn) for turn in range(3)]
    assert answers == [Cancelled(cancelled=1)] * 3
    assert await kinds_of(backend, parcel) == ["message.cancelled"]
    record = await backend.records.notification(TENANT, notification)
    assert record is not None
    assert record.cancelled_at == NOW


async def test_cancelling_one_message_leaves_the_others(backend: UnderTest) -> None:
    ntf = new_id()
    ((one, two),) = await backend.ledger.plan([plan(birth(ntf, 0), birth(ntf, 1), notification=ntf)])
    assert await backend.ledger.cancel(TENANT, one.id, NOW) == Cancelled(cancelled=1)
    assert await state_of(backend, one) == MessageState.CANCELLED
    assert await state_of(backend, two) == MessageState.QUEUED


async def test_a_message_that_waits_for_its_digest_can_be_cancelled(backend: UnderTest) -> None:
    ntf = new_id()
    wait = Wait("window", NOW + MINUTE)
    await backend.ledger.plan([plan(birth(ntf, state=MessageState.DIGESTING, wait=wait), notification=ntf)])
    assert await backend.ledger.cancel(TENANT, ntf, NOW) == Cancelled(cancelled=1)
    assert (await message_of(backend, message_id(ntf, 0))).wait is None


async def test_a_cancelled_message_is_never_claimed(backend: UnderTest) -> None:
    message = await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    await backend.ledger.cancel(TENANT, message, NOW)
    assert refused(await backend.ledger.claim(claim(parcel))) == "state"
    await backend.waiting.promoted([parcel], NOW)
    assert await state_of(backend, message) == MessageState.CANCELLED


async def test_a_message_that_a_person_had_sent_again_out_of_doubt_is_too_late(backend: UnderTest) -> None:
    parcel, _ = await in_doubt(backend.ledger)
    await backend.ledger.resolve(TENANT, parcel.id, "resend", NOW)
    assert await backend.ledger.cancel(TENANT, parcel.id, NOW) == Cancelled(too_late=1)
    assert await state_of(backend, parcel) == MessageState.IN_DOUBT


async def waiting_after_a_lost_answer(backend: UnderTest, **changed: object) -> tuple[Parcel, str, Parcel]:
    """A message that is to be sent again: its first parcel, its attempt in doubt, and the parcel that sends it again."""
    parcel = await planned(backend.ledger, **changed)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, held))
    (again,) = await backend.waiting.due(NOW + 30_000, 10)
    return parcel, held.attempt, again


async def test_a_cancel_while_an_answer_is_lost_is_too_late_and_nothing_is_sent_again(backend: UnderTest) -> None:
    # given
    parcel, _, again = await waiting_after_a_lost_answer(backend)
    # when
    answers = [await backend.ledger.cancel(TENANT, parcel.id, NOW + turn) for turn in (1, 2)]
    # then
    assert answers == [Cancelled(too_late=1)] * 2
    row = await message_of(backend, parcel)
    assert (row.state, row.reason, row.wait, row.dead, row.updated_at) == (
        MessageState.IN_DOUBT,
        "lost_answer",
        None,
        False,
        NOW + 1,
    )
    assert await kinds_of(backend, parcel) == ["message.in_doubt"]
    assert refused(await backend.ledger.claim(claim(again, "token-2"))) == "state"
    assert list(await backend.waiting.due(NOW + MINUTE, 10)) == []


@pytest.mark.parametrize(
    ("word", "state"),
    [(A.SENT, MessageState.SENT), (A.DELIVERED, MessageState.DELIVERED), (A.FAILED, MessageState.CANCELLED)],
    ids=str,
)
async def test_a_receipt_settles_a_doubt_that_was_cancelled_and_nothing_more_is_sent(
    backend: UnderTest, word: AttemptState, state: MessageState
) -> None:
    parcel, attempt, _ = await waiting_after_a_lost_answer(backend, steps=(SMS, EMAIL))
    await backend.ledger.cancel(TENANT, parcel.id, NOW)
    await backend.ledger.observe(receipt(word, attempt), NOW)
    row = await message_of(backend, parcel)
    assert (row.state, row.step, row.wait, row.dead) == (state, 0, None, False)


@pytest.mark.parametrize("answer", [later, rejected], ids=lambda each: each.__name__)
async def test_an_answer_that_comes_after_the_cancel_decides_nothing_more(backend: UnderTest, answer: object) -> None:
    # given an attempt that was taken for lost
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)
    assert await backend.ledger.cancel(TENANT, parcel.id, NOW) == Cancelled(too_late=1)
    # when
    await backend.ledger.settle(answer(parcel, held))  # type: ignore[operator]
    # then it is known that it was never sent
    row = await message_of(backend, parcel)
    assert (row.state, row.step, row.wait) == (MessageState.CANCELLED, 0, None)


async def test_a_cancel_stops_the_next_step_too_where_an_answer_of_the_one_before_is_lost(backend: UnderTest) -> None:
    parcel, _, again = await waiting_after_a_lost_answer(backend, steps=(SMS, EMAIL))
    await backend.ledger.settle(rejected(again, await claimed(backend.ledger, again, "token-2"), "token-2"))
    (second,) = await backend.waiting.due(NOW + MINUTE, 10)
    assert (second.step, await state_of(backend, parcel)) == (1, MessageState.QUEUED)
    assert await backend.ledger.cancel(TENANT, parcel.id, NOW) == Cancelled(too_late=1)
    assert await state_of(backend, parcel) == MessageState.IN_DOUBT
    assert refused(await backend.ledger.claim(claim(second, "token-3"))) == "state"


async def test_a_person_may_have_a_doubt_sent_again_that_was_cancelled(backend: UnderTest) -> None:
    parcel, _, _ = await waiting_after_a_lost_answer(backend)
    await backend.ledger.cancel(TENANT, parcel.id, NOW)
    assert await backend.ledger.resolve(TENANT, parcel.id, "resend", NOW) == MessageState.QUEUED
    (again,) = await backend.waiting.due(NOW, 10)
    held = await claimed(backend.ledger, again, "token-2")
    assert await backend.ledger.settle(later(again, held, "token-2")) == MessageState.QUEUED


async def test_a_cancel_of_what_was_sent_and_is_to_be_sent_again_by_hand_stops_that(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger)
    await backend.ledger.revive(TENANT, parcel.id, NOW)
    assert await backend.ledger.cancel(TENANT, parcel.id, NOW) == Cancelled(too_late=1)
    row = await message_of(backend, parcel)
    assert (row.state, row.wait) == (MessageState.SENT, None)


async def test_strangers_cancel_nothing(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    notification = f"ntf_{parcel.id[4:36]}"
    assert await backend.ledger.cancel("globex", notification, NOW) == Cancelled()
    assert await backend.ledger.cancel("globex", parcel.id, NOW) == Cancelled()
    record = await backend.records.notification(TENANT, notification)
    assert record is not None
    assert record.cancelled_at is None
    assert await state_of(backend, parcel) == MessageState.QUEUED


async def test_cancelling_a_message_that_nobody_knows_counts_nothing(backend: UnderTest) -> None:
    assert await backend.ledger.cancel(TENANT, message_id(new_id(), 0), NOW) == Cancelled()


async def test_cancelling_a_notification_that_is_not_planned_yet_counts_it_each_time(backend: UnderTest) -> None:
    ntf = new_id()
    assert [await backend.ledger.cancel(TENANT, ntf, NOW) for _ in range(2)] == [Cancelled(unplanned=1)] * 2


# Resolve


async def test_a_doubt_resolved_as_sent_is_sent(backend: UnderTest) -> None:
    parcel, _ = await in_doubt(backend.ledger, steps=(SMS, EMAIL))
    assert await backend.ledger.resolve(TENANT, parcel.id, "sent", NOW) == MessageState.SENT
    row = await message_of(backend, parcel)
    assert (row.state, row.wait) == (MessageState.SENT, None)
    assert (await backend.records.attempts(parcel.id))[0].state == A.SENT


async def test_a_doubt_resolved_as_failed_ends_there_and_goes_to_the_dead_letters(backend: UnderTest) -> None:
    parcel, _ = await in_doubt(backend.ledger, steps=(SMS, EMAIL))
    assert await backend.ledger.resolve(TENANT, parcel.id, "failed", NOW) == MessageState.FAILED
    row = await message_of(backend, parcel)
    assert (row.state, row.dead, row.wait, row.step) == (MessageState.FAILED, True, None, 0)
    assert (await backend.records.attempts(parcel.id))[0].state == A.FAILED


async def test_a_doubt_resolved_as_to_be_sent_again_is_due_at_once_at_its_step(backend: UnderTest) -> None:
    # given
    parcel, _ = await in_doubt(backend.ledger)
    # when
    assert await backend.ledger.resolve(TENANT, parcel.id, "resend", NOW) == MessageState.QUEUED
    # then
    (again,) = await backend.waiting.due(NOW, 10)
    assert (again.step, again.number, again.calls) == (0, 1, 0)
    held = await claimed(backend.ledger, again, "token-2")
    assert await backend.ledger.settle(accepted(again, held, "token-2")) == MessageState.SENT
    assert (await message_of(backend, parcel)).doubled


@pytest.mark.parametrize("verdict", ["sent", "failed", "resend"])
async def test_only_a_doubt_is_resolved_and_only_by_its_tenant(backend: UnderTest, verdict: str) -> None:
    queued = await planned(backend.ledger)
    taken, _ = await sent(backend.ledger)
    resent = await planned(backend.ledger)
    await backend.ledger.settle(lost(resent, await claimed(backend.ledger, resent)))
    doubted, _ = await in_doubt(backend.ledger)
    for parcel in (queued, taken, resent):
        assert await backend.ledger.resolve(TENANT, parcel.id, verdict, NOW) is None
    assert await backend.ledger.resolve("globex", doubted.id, verdict, NOW) is None
    assert await backend.ledger.resolve(TENANT, message_id(new_id(), 0), verdict, NOW) is None
    assert await state_of(backend, doubted) == MessageState.IN_DOUBT


async def test_a_delivery_after_a_person_said_failed_is_believed(backend: UnderTest) -> None:
    parcel, held = await in_doubt(backend.ledger)
    await backend.ledger.resolve(TENANT, parcel.id, "failed", NOW)
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    row = await message_of(backend, parcel)
    assert (row.state, row.dead) == (MessageState.DELIVERED, False)


# Revive and drop


async def test_a_revived_message_is_due_at_once_from_its_first_step(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.advance(parcel, 1, "unreachable", "", NOW)
    (second,) = await backend.waiting.due(NOW, 10)
    await backend.ledger.settle(rejected(second, await claimed(backend.ledger, second)))
    assert (await message_of(backend, parcel)).dead
    # when
    assert await backend.ledger.revive(TENANT, parcel.id, NOW + 3)
    # then
    row = await message_of(backend, parcel)
    assert (row.state, row.step, row.number, row.calls, row.dead, row.reason) == (MessageState.QUEUED, 0, 1, 0, False, None)
    (again,) = await backend.waiting.due(NOW + 3, 10)
    assert (again.step, again.number, again.channel) == (0, 1, "sms")
    held = await claimed(backend.ledger, again, "token-2")
    assert await backend.ledger.settle(accepted(again, held, "token-2")) == MessageState.SENT
    assert (await kinds_of(backend, parcel))[-3:] == ["message.failed", "message.queued", "message.sent"]


async def test_what_is_in_flight_is_not_revived(backend: UnderTest) -> None:
    queued = await planned(backend.ledger)
    open_ = await planned(backend.ledger)
    await claimed(backend.ledger, open_)
    waiting = await scheduled(backend.ledger, NOW + MINUTE)
    resent = await planned(backend.ledger)
    await backend.ledger.settle(lost(resent, await claimed(backend.ledger, resent)))
    for message in (queued.id, open_.id, waiting, resent.id):
        before = await message_of(backend, message)
        assert await backend.ledger.revive(TENANT, message, NOW) is False
        assert await message_of(backend, message) == before


@pytest.mark.parametrize("proof", [A.DELIVERED, A.READ], ids=str)
async def test_what_arrived_is_not_revived_for_it_is_never_taken_back(backend: UnderTest, proof: AttemptState) -> None:
    parcel, held = await sent(backend.ledger)
    await backend.ledger.observe(receipt(proof, held.attempt), NOW)
    assert await backend.ledger.revive(TENANT, parcel.id, NOW) is False
    assert (await message_of(backend, parcel)).wait is None


async def test_a_message_without_any_step_is_not_revived(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.plan([plan(birth(ntf, 0, (), state=MessageState.FAILED, reason="unknown_recipient"), notification=ntf)])
    assert await backend.ledger.revive(TENANT, message_id(ntf, 0), NOW) is False
    assert (await message_of(backend, message_id(ntf, 0))).dead


async def test_sent_cancelled_and_doubted_messages_can_be_sent_again_by_hand(backend: UnderTest) -> None:
    taken, _ = await sent(backend.ledger)
    doubted, _ = await in_doubt(backend.ledger)
    stopped = await planned(backend.ledger)
    await backend.ledger.cancel(TENANT, stopped.id, NOW)
    for parcel in (taken, doubted, stopped):
        assert await backend.ledger.revive(TENANT, parcel.id, NOW)
        assert await state_of(backend, parcel) == MessageState.QUEUED
    assert {parcel.id for parcel in await backend.waiting.due(NOW, 10)} == {taken.id, doubted.id, stopped.id}


async def test_what_is_over_its_time_is_not_revived_and_stays_dead_for_its_reason(backend: UnderTest) -> None:
    # given
    parcel = await failed(backend, expires_at=NOW + 9)
    ended = await planned(backend.ledger, expires_at=NOW + 9)
    await backend.ledger.end(ended, MessageState.EXPIRED, "expired", "", NOW + 9)
    before = await message_of(backend, parcel)
    # when
    assert await backend.ledger.revive(TENANT, parcel.id, NOW + 9, before) is False
    assert await backend.ledger.revive(TENANT, ended.id, NOW + 9) is False
    # then
    assert await message_of(backend, parcel) == before
    assert (before.state, before.dead, before.reason) == (MessageState.FAILED, True, "blocked")
    assert await state_of(backend, ended) == MessageState.EXPIRED
    assert list(await backend.waiting.due(NOW + 9, 10)) == []
    # and a moment earlier it would have been
    assert await backend.ledger.revive(TENANT, parcel.id, NOW + 8)


async def test_a_revived_message_that_runs_out_of_time_is_not_claimed(backend: UnderTest) -> None:
    parcel = await failed(backend, expires_at=NOW + 9)
    assert await backend.ledger.revive(TENANT, parcel.id, NOW + 8)
    (again,) = await backend.waiting.due(NOW + 8, 10)
    assert refused(await backend.ledger.claim(claim(again, now=NOW + 9))) == "expired"


async def test_a_doubt_that_is_over_its_time_is_settled_by_a_word_but_not_sent_again(backend: UnderTest) -> None:
    parcel, _ = await in_doubt(backend.ledger, expires_at=NOW + 9)
    before = await message_of(backend, parcel)
    assert await backend.ledger.resolve(TENANT, parcel.id, "resend", NOW + 9) is None
    assert await message_of(backend, parcel) == before
    assert await backend.ledger.resolve(TENANT, parcel.id, "sent", NOW + 9) == MessageState.SENT


async def test_strangers_revive_and_drop_nothing(backend: UnderTest) -> None:
    parcel = await failed(backend)
    before = await message_of(backend, parcel)
    assert await backend.ledger.revive("globex", parcel.id, NOW) is False
    assert await backend.ledger.drop("globex", parcel.id, NOW) is False
    assert await message_of(backend, parcel) == before


async def test_a_dropped_message_leaves_the_dead_letters_and_stays_failed(backend: UnderTest) -> None:
    parcel = await failed(backend)
    assert await backend.ledger.drop(TENANT, parcel.id, NOW)
    row = await message_of(backend, parcel)
    assert (row.state, row.dead, row.reason) == (MessageState.FAILED, False, "blocked")
    assert list(await backend.records.dead_causes(TENANT)) == []
    assert await backend.ledger.drop(TENANT, parcel.id, NOW) is False


async def test_what_is_not_dead_or_not_known_is_not_dropped(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    assert await backend.ledger.drop(TENANT, parcel.id, NOW) is False
    assert await backend.ledger.drop(TENANT, message_id(new_id(), 0), NOW) is False
    assert await backend.ledger.revive(TENANT, message_id(new_id(), 0), NOW) is False


# Repair


async def test_the_attempt_of_a_dead_owner_becomes_doubted_and_its_message_waits_for_patience(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, owner="w-dead", provider="vonage-eu")
    asked: list[str] = []

    def patience(provider: str) -> Patience:
        asked.append(provider)
        return Patience(7_000)

    # when
    moved = await backend.ledger.repair(NOW + 1, lambda owner: owner != "w-dead", patience, 8)
    # then
    assert list(moved) == [parcel.id]
    assert set(asked) == {"vonage-eu"}
    row = await message_of(backend, parcel)
    assert (row.state, row.token, row.reason) == (MessageState.SENDING, None, "lost_answer")
    assert (row.wait.due_at, row.wait.key) == (NOW + 1 + 7_000, "time")
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (attempt.id, attempt.state, attempt.reason) == (held.attempt, A.IN_DOUBT, "lost_answer")


async def test_a_doubt_that_repair_found_counts_as_a_call(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)
    (again,) = await backend.waiting.due(NOW + 30_000, 10)
    assert (again.number, again.calls) == (1, 1)


async def test_a_message_without_calls_left_is_in_doubt_after_repair(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 1)
    row = await message_of(backend, parcel)
    assert (row.state, row.wait, row.token) == (MessageState.IN_DOUBT, None, None)


async def test_a_message_that_holds_its_doubts_is_in_doubt_after_repair(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, on_doubt="hold", steps=(SMS, EMAIL))
    await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)
    row = await message_of(backend, parcel)
    assert (row.state, row.wait, row.token) == (MessageState.IN_DOUBT, None, None)
    assert await kinds_of(backend, parcel) == ["message.in_doubt"]


@pytest.mark.parametrize(("now", "moves"), [(NOW + 9_999, False), (NOW + 10_000, True), (NOW + 10_001, True)])
async def test_a_deadline_has_passed_from_its_very_millisecond_on(backend: UnderTest, now: int, moves: bool) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel, deadline_at=NOW + 10_000)
    assert list(await backend.ledger.repair(now, everybody_lives, half_a_minute, 8)) == [parcel.id] * moves


@pytest.mark.parametrize(
    ("future", "deadline_at", "moves"),
    [(NOW - 1, NOW + 60_000, True), (NOW, NOW + 60_000, False), (NOW - 1, NOW + 60_001, False), (None, NOW + 60_000, False)],
    ids=["of the future", "just not", "it had more time than has passed", "who has just started judges none"],
)
async def test_what_began_by_a_clock_that_was_ahead_is_out_of_time(
    backend: UnderTest, future: int | None, deadline_at: int, moves: bool
) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel, deadline_at=deadline_at)
    day_before = NOW - 86_400_000
    assert list(await backend.ledger.repair(day_before, everybody_lives, half_a_minute, 8, lambda: future)) == [parcel.id] * moves


async def test_repair_is_asked_again_and_finds_nothing_more(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)
    before = await message_of(backend, parcel)
    assert list(await backend.ledger.repair(NOW + 1, nobody_lives, half_a_minute, 8)) == []
    assert await message_of(backend, parcel) == before


async def test_a_claim_that_commits_after_a_repair_is_found_by_the_next(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    assert list(await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)) == []
    await claimed(backend.ledger, parcel)
    assert list(await backend.ledger.repair(NOW + 1, nobody_lives, half_a_minute, 8)) == [parcel.id]


async def test_repair_leaves_settled_and_waiting_messages_alone(backend: UnderTest) -> None:
    taken, _ = await sent(backend.ledger)
    queued = await planned(backend.ledger)
    retried = await planned(backend.ledger)
    await backend.ledger.settle(later(retried, await claimed(backend.ledger, retried)))
    assert list(await backend.ledger.repair(NOW + MINUTE, nobody_lives, half_a_minute, 8)) == []
    assert await state_of(backend, taken) == MessageState.SENT
    assert await state_of(backend, queued) == MessageState.QUEUED
    assert (await message_of(backend, retried)).wait.due_at == NOW + MINUTE


async def test_repair_after_a_crash_finds_what_was_open(backend: UnderTest) -> None:
    parcels = [await planned(backend.ledger) for _ in range(30)]
    for parcel in parcels:
        await claimed(backend.ledger, parcel, parcel.id)
    again = await backend.restart()
    moved = await again.ledger.repair(NOW + 1, nobody_lives, half_a_minute, 8)
    assert sorted(moved) == sorted(parcel.id for parcel in parcels)
    assert {parcel.id for parcel in await again.waiting.due(NOW + MINUTE, 100)} == set(moved)


async def test_an_open_attempt_of_a_message_that_arrived_becomes_doubted_and_moves_nothing_else(backend: UnderTest) -> None:
    # given: a doubt, a second attempt, and a delivery of the first
    parcel = await planned(backend.ledger)
    first = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, first))
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    await claimed(backend.ledger, again, "token-2")
    await backend.ledger.observe(receipt(A.DELIVERED, first.attempt), NOW)
    # when
    await backend.ledger.repair(NOW + MINUTE, nobody_lives, half_a_minute, 8)
    # then
    row = await message_of(backend, parcel)
    assert (row.state, row.wait, row.doubled) == (MessageState.DELIVERED, None, True)
    assert [attempt.state for attempt in await backend.records.attempts(parcel.id)] == [A.DELIVERED, A.IN_DOUBT]
