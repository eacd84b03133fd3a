"""What every ledger promises (engine/ports.py, Ledger): plan and claim.

Steps and waits are in test_ledger_steps.py, outcomes in test_ledger_settle.py, receipts in test_ledger_observe.py, and what
people and repair do in test_ledger_hands.py.
"""

from __future__ import annotations

import asyncio

import pytest

from sendwright.model.ids import attempt_id, message_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel
from sendwright.model.records import Cancelled, Claimed, Refused, Switch, Wait
from sendwright.model.said import Said
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
    kinds_of,
    later,
    lost,
    message_of,
    new_id,
    plan,
    planned,
    receipt,
    refused,
    scheduled,
    state_of,
)

backend = every_backend()


# Plan


async def test_a_plan_returns_a_parcel_for_every_queued_message_in_order(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    births = [birth(ntf, ordinal, (SMS, EMAIL), recipient=f"user-{ordinal}") for ordinal in range(40)]
    asked = plan(*births, notification=ntf, priority=Priority.HIGH, expires_at=NOW + MINUTE, on_doubt="hold", trace="00-abc")
    # when
    (parcels,) = await backend.ledger.plan([asked])
    # then
    expected = Parcel(
        id=message_id(ntf, 0),
        tenant=TENANT,
        steps=(SMS, EMAIL),
        content=Said(body="Hello"),
        at=NOW,
        priority=Priority.HIGH,
        on_doubt="hold",
        expires_at=NOW + MINUTE,
        trace="00-abc",
    )
    assert parcels[0] == expected
    assert [parcel.id for parcel in parcels] == [message_id(ntf, ordinal) for ordinal in range(40)]


async def test_a_planned_message_has_its_row(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.plan([plan(birth(ntf, 0, (SMS, EMAIL), recipient="user-1"), notification=ntf, expires_at=NOW + MINUTE)])
    row = await message_of(backend, message_id(ntf, 0))
    assert (row.state, row.step, row.number, row.steps) == (MessageState.QUEUED, 0, 0, (SMS, EMAIL))
    assert (row.recipient, row.channel, row.address) == ("user-1", SMS.channel, SMS.address)
    assert (row.accepted_at, row.expires_at, row.wait, row.dead, row.doubled) == (NOW, NOW + MINUTE, None, False, False)


async def test_what_waits_or_ended_at_birth_gets_no_parcel(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    births = [
        birth(ntf, 0, state=MessageState.SCHEDULED, wait=Wait("time", NOW + MINUTE)),
        birth(ntf, 1, (), state=MessageState.FAILED, reason="unknown_recipient", detail="nobody"),
        birth(ntf, 2),
        birth(ntf, 3, state=MessageState.QUEUED, wait=Wait("rate", None, key="lane:sms")),
    ]
    # when
    (parcels,) = await backend.ledger.plan([plan(*births, notification=ntf)])
    # then
    assert [parcel.id for parcel in parcels] == [message_id(ntf, 2)]
    assert (await message_of(backend, message_id(ntf, 0))).wait.due_at == NOW + MINUTE
    failed = await message_of(backend, message_id(ntf, 1))
    assert (failed.state, failed.reason, failed.dead) == (MessageState.FAILED, "unknown_recipient", True)
    assert await kinds_of(backend, failed.id) == ["message.failed"]
    assert await backend.waiting.parked() == {("lane:sms", Priority.NORMAL): 1}


async def test_what_is_in_doubt_at_birth_has_the_attempt_that_may_have_been_made(backend: UnderTest) -> None:
    # given one that may have been sent already, beside one that goes now; before or after another's cancellation
    for cancelled in (False, True):
        ntf = new_id()
        if cancelled:
            await backend.ledger.cancel("stranger", ntf, NOW)
        doubt = birth(
            ntf, 0, state=MessageState.IN_DOUBT, reason="lost_answer", detail="may have been sent", provider="twilio-main"
        )
        ((parcel,),) = await backend.ledger.plan([plan(doubt, birth(ntf, 1), notification=ntf)])
        assert parcel.id == message_id(ntf, 1)
        # then
        row = await message_of(backend, doubt.id)
        assert (row.state, row.number, row.provider, row.channel) == (MessageState.IN_DOUBT, 1, "twilio-main", "sms")
        [attempt] = await backend.records.attempts(doubt.id)
        assert (attempt.id, attempt.state, attempt.provider) == (attempt_id(doubt.id, 1), AttemptState.IN_DOUBT, "twilio-main")
        assert (attempt.reason, attempt.detail) == ("lost_answer", "may have been sent")
        # when it is planned once more, nothing is added
        assert await backend.ledger.plan([plan(doubt, birth(ntf, 1), notification=ntf)]) == [[parcel]]
        assert len(await backend.records.attempts(doubt.id)) == 1
        # when the receipt comes that its provider sends to that attempt
        seen = await backend.ledger.observe(receipt(AttemptState.DELIVERED, attempt_id(doubt.id, 1)), NOW)
        assert seen.after == MessageState.DELIVERED


async def test_several_plans_at_once_answer_in_their_order(backend: UnderTest) -> None:
    asked = [plan(steps=(SMS,)) for _ in range(5)]
    answers = await backend.ledger.plan(asked)
    assert [[parcel.id for parcel in parcels] for parcels in answers] == [[message_id(each.id, 0)] for each in asked]
    assert list(await backend.ledger.plan([])) == []


async def test_the_first_plan_wins_and_a_redelivered_one_gets_what_is_stored(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    first = plan(birth(ntf, 0, (SMS, EMAIL)), birth(ntf, 1), notification=ntf, content=Said(body="first"), trace="00-abc")
    (parcels,) = await backend.ledger.plan([first])
    # when
    second = plan(birth(ntf, 0, (EMAIL,)), birth(ntf, 1), birth(ntf, 2), notification=ntf, content=Said(body="second"))
    (again,) = await backend.ledger.plan([second])
    # then
    assert list(again) == list(parcels)
    assert await backend.records.message(TENANT, message_id(ntf, 2)) is None
    assert [event.type for event in await backend.records.events(TENANT, 0, 10)] == ["notification.accepted"]


async def test_a_notification_that_is_planned_twice_in_one_call_is_planned_once(backend: UnderTest) -> None:
    ntf = new_id()
    answers = await backend.ledger.plan([plan(notification=ntf), plan(notification=ntf)])
    assert [[parcel.id for parcel in parcels] for parcels in answers] == [[message_id(ntf, 0)]] * 2
    assert [event.type for event in await backend.records.events(TENANT, 0, 10)] == ["notification.accepted"]


async def test_a_redelivered_plan_leaves_out_what_was_claimed_parked_or_ended_since(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    asked = plan(*(birth(ntf, ordinal) for ordinal in range(4)), notification=ntf)
    ((one, two, three, four),) = await backend.ledger.plan([asked])
    await claimed(backend.ledger, one)
    await backend.ledger.park(two, Wait("provider", None, key="provider:x"), NOW)
    await backend.ledger.end(three, MessageState.FAILED, "no_provider", "", NOW)
    # when
    (again,) = await backend.ledger.plan([asked])
    # then
    assert list(again) == [four]


async def test_a_redelivered_plan_leaves_out_what_is_queued_for_a_retry(backend: UnderTest) -> None:
    asked = plan()
    ((parcel,),) = await backend.ledger.plan([asked])
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))
    assert [list(parcels) for parcels in await backend.ledger.plan([asked])] == [[]]


async def test_a_notification_that_was_cancelled_before_is_born_cancelled(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    assert await backend.ledger.cancel(TENANT, ntf, NOW) == Cancelled(unplanned=1)
    births = [birth(ntf, 0), birth(ntf, 1, state=MessageState.SCHEDULED, wait=Wait("time", NOW + MINUTE))]
    # when
    (parcels,) = await backend.ledger.plan([plan(*births, notification=ntf)])
    # then
    assert list(parcels) == []
    for ordinal in (0, 1):
        row = await message_of(backend, message_id(ntf, ordinal))
        assert (row.state, row.wait, row.dead) == (MessageState.CANCELLED, None, False)
        assert await kinds_of(backend, row.id) == ["message.cancelled"]
    assert await backend.waiting.next_due() is None
    record = await backend.records.notification(TENANT, ntf)
    assert record is not None
    assert record.cancelled_at == NOW


async def test_what_had_failed_at_birth_stays_failed_when_it_is_born_cancelled(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.cancel(TENANT, ntf, NOW)
    await backend.ledger.plan([plan(birth(ntf, 0, (), state=MessageState.FAILED, reason="no_address"), notification=ntf)])
    assert await state_of(backend, message_id(ntf, 0)) == MessageState.FAILED


async def test_a_plan_after_a_cancellation_is_still_the_first_and_a_redelivered_one_brings_nothing_back(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.cancel(TENANT, ntf, NOW)
    await backend.ledger.plan([plan(notification=ntf)])
    (again,) = await backend.ledger.plan([plan(birth(ntf, 0), birth(ntf, 1), notification=ntf)])
    assert list(again) == []
    assert await state_of(backend, message_id(ntf, 0)) == MessageState.CANCELLED
    assert await backend.records.message(TENANT, message_id(ntf, 1)) is None


async def test_a_stranger_cancelling_a_notification_before_its_plan_stops_nothing(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.cancel("globex", ntf, NOW)
    (parcels,) = await backend.ledger.plan([plan(notification=ntf)])
    assert [parcel.id for parcel in parcels] == [message_id(ntf, 0)]
    assert await state_of(backend, message_id(ntf, 0)) == MessageState.QUEUED


async def test_a_cancellation_before_the_plan_survives_a_crash(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.cancel(TENANT, ntf, NOW)
    again = await backend.restart()
    (parcels,) = await again.ledger.plan([plan(notification=ntf)])
    assert list(parcels) == []


# Claim


async def test_a_claim_is_granted_and_its_attempt_is_stored_sending(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    # when
    answer = await backend.ledger.claim(claim(parcel, "mine", provider="vonage-eu", owner="w-7", deadline_at=NOW + 9))
    # then
    assert answer == Claimed(attempt_id(parcel.id, 1), 1)
    row = await message_of(backend, parcel)
    assert (row.state, row.number, row.provider, row.channel) == (MessageState.SENDING, 1, "vonage-eu", "sms")
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (attempt.id, attempt.number, attempt.step, attempt.state) == (attempt_id(parcel.id, 1), 1, 0, AttemptState.SENDING)
    assert (attempt.provider, attempt.owner, attempt.started_at, attempt.deadline_at) == ("vonage-eu", "w-7", NOW, NOW + 9)
    assert attempt.finished_at is None


async def test_of_fifty_claimers_at_the_same_time_one_is_granted(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    # when
    answers = await asyncio.gather(*(backend.ledger.claim(claim(parcel, f"token-{number}")) for number in range(50)))
    # then
    assert [answer for answer in answers if isinstance(answer, Claimed)] == [Claimed(attempt_id(parcel.id, 1), 1)]
    assert {answer.why for answer in answers if isinstance(answer, Refused)} <= {"number", "state"}
    assert len(await backend.records.attempts(parcel.id)) == 1


async def test_the_token_of_a_refused_claimer_does_not_settle(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, "winner")
    assert isinstance(await backend.ledger.claim(claim(parcel, "loser")), Refused)
    await backend.ledger.settle(later(parcel, held, "loser"))
    row = await message_of(backend, parcel)
    assert row.wait is None or row.wait.due_at != NOW + MINUTE


async def test_the_same_token_is_granted_again_since_its_answer_may_have_been_lost(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    first = await backend.ledger.claim(claim(parcel, "mine"))
    assert await backend.ledger.claim(claim(parcel, "mine")) == first
    assert len(await backend.records.attempts(parcel.id)) == 1
    assert (await message_of(backend, parcel)).number == 1


async def test_the_same_token_is_refused_once_it_is_settled(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, "mine")
    await backend.ledger.settle(accepted(parcel, held, "mine"))
    assert isinstance(await backend.ledger.claim(claim(parcel, "mine")), Refused)


async def test_two_claims_with_one_token_at_the_same_time_are_one_attempt(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    answers = await asyncio.gather(*(backend.ledger.claim(claim(parcel, "mine")) for _ in range(2)))
    assert answers == [Claimed(attempt_id(parcel.id, 1), 1)] * 2
    assert len(await backend.records.attempts(parcel.id)) == 1


async def test_a_message_that_nobody_knows_is_refused_as_gone(backend: UnderTest) -> None:
    known = await planned(backend.ledger)
    unknown = Parcel(message_id(new_id(), 0), TENANT, (SMS,), Said(body="?"), NOW)
    assert refused(await backend.ledger.claim(claim(unknown))) == "gone"
    assert isinstance(await backend.ledger.claim(claim(known)), Claimed)


async def test_a_parcel_of_an_older_number_is_refused(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))
    assert refused(await backend.ledger.claim(claim(parcel, "token-2"))) == "number"


async def test_a_parcel_of_another_step_is_refused_as_of_another_number(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    assert await backend.ledger.advance(parcel, 1, "unreachable", "", NOW)
    assert refused(await backend.ledger.claim(claim(parcel))) == "number"


async def test_a_message_that_ended_is_refused_by_its_state(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    assert await backend.ledger.cancel(TENANT, parcel.id, NOW) == Cancelled(cancelled=1)
    assert refused(await backend.ledger.claim(claim(parcel))) == "state"
    assert list(await backend.records.attempts(parcel.id)) == []


@pytest.mark.parametrize(("now", "granted"), [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
async def test_a_message_is_expired_from_the_very_millisecond_on(backend: UnderTest, now: int, granted: bool) -> None:
    parcel = await planned(backend.ledger, expires_at=NOW)
    answer = await backend.ledger.claim(claim(parcel, now=now))
    assert isinstance(answer, Claimed) if granted else refused(answer) == "expired"


async def test_the_row_decides_on_expiry_and_not_the_parcel(backend: UnderTest) -> None:
    from msgspec.structs import replace

    parcel = await planned(backend.ledger, expires_at=NOW)
    assert refused(await backend.ledger.claim(claim(replace(parcel, expires_at=None)))) == "expired"


async def test_a_claim_under_an_older_epoch_is_refused_and_one_under_the_new_is_granted(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    before, _ = await backend.switchboard.read()
    # when
    epoch = await backend.switchboard.set(Switch("twilio-main", enabled=False))
    # then
    assert refused(await backend.ledger.claim(claim(parcel, epoch=before))) == "epoch"
    assert await state_of(backend, parcel) == MessageState.QUEUED
    assert isinstance(await backend.ledger.claim(claim(parcel, epoch=epoch)), Claimed)


async def test_a_claim_takes_a_scheduled_message_and_deletes_its_wait(backend: UnderTest) -> None:
    await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    await claimed(backend.ledger, parcel)
    assert (await message_of(backend, parcel)).wait is None
    assert await backend.waiting.next_due() is None


async def test_a_message_in_doubt_that_is_to_be_sent_again_can_be_claimed(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel)))
    (again,) = await backend.waiting.due(NOW + 30_000, 10)
    # when
    held = await claimed(backend.ledger, again, "token-2")
    # then
    assert held == Claimed(attempt_id(parcel.id, 2), 2)
    assert [attempt.state for attempt in await backend.records.attempts(parcel.id)] == [AttemptState.IN_DOUBT, AttemptState.SENDING]


async def test_claims_of_many_messages_at_once_decide_each_alone(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    (parcels,) = await backend.ledger.plan([plan(*(birth(ntf, ordinal) for ordinal in range(100)), notification=ntf)])
    await backend.ledger.cancel(TENANT, parcels[50].id, NOW)
    # when
    answers = await asyncio.gather(*(backend.ledger.claim(claim(parcel, f"token-{parcel.id}")) for parcel in parcels))
    # then
    expected = [Claimed(attempt_id(parcel.id, 1), 1) for parcel in parcels]
    assert [answer for answer in answers if isinstance(answer, Refused)] == [Refused("state")]
    assert [answer for answer in answers if isinstance(answer, Claimed)] == expected[:50] + expected[51:]


async def test_a_claim_survives_a_crash(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, "mine")
    again = await backend.restart()
    assert isinstance(await again.ledger.claim(claim(parcel, "other")), Refused)
    assert await again.ledger.claim(claim(parcel, "mine")) == held
