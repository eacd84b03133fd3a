"""What every ledger promises (engine/ports.py, Ledger): settling joins evidence always, and decisions while the claim holds."""

from __future__ import annotations

import asyncio

from sendwright.model.parcel import Round
from sendwright.model.records import Decision, Patience, Wait
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    claimed,
    in_doubt,
    kinds_of,
    later,
    lost,
    message_of,
    outcome,
    planned,
    receipt,
    rejected,
    sent,
    state_of,
)

backend = every_backend()

A = AttemptState


def dead_owner(_: str) -> bool:
    return False


def no_patience(_: str) -> Patience:
    return Patience(0)


async def repaired(backend: UnderTest, now: int = NOW + 1) -> None:
    """Every open attempt is in doubt afterwards."""
    await backend.ledger.repair(now, dead_owner, no_patience, 8)


# Settle, while the claim holds


async def test_an_accepted_message_is_sent_and_its_attempt_has_the_reference(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    # when
    state = await backend.ledger.settle(accepted(parcel, held, ref="SM1", at=NOW + 250))
    # then
    row = await message_of(backend, parcel)
    assert state == row.state == MessageState.SENT
    assert (row.token, row.wait, row.updated_at, row.doubled, row.dead) == (None, None, NOW + 250, False, False)
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (attempt.state, attempt.ref, attempt.finished_at) == (A.SENT, "SM1", NOW + 250)
    assert await kinds_of(backend, parcel) == ["message.sent"]


async def test_many_messages_settle_at_the_same_time_each_in_its_way(backend: UnderTest) -> None:
    # given
    parcels = [await planned(backend.ledger, steps=(SMS,)) for _ in range(60)]
    held = [await claimed(backend.ledger, parcel, parcel.id) for parcel in parcels]
    ways = [(accepted, MessageState.SENT), (later, MessageState.QUEUED), (rejected, MessageState.FAILED)]
    wanted = [ways[index % 3] for index in range(60)]
    # when
    states = await asyncio.gather(
        *(backend.ledger.settle(way(p, h, p.id)) for p, h, (way, _) in zip(parcels, held, wanted, strict=True))
    )
    # then
    assert list(states) == [state for _, state in wanted]
    assert [await state_of(backend, parcel) for parcel in parcels] == [state for _, state in wanted]


async def test_a_later_decision_is_applied_whole(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    # when
    state = await backend.ledger.settle(later(parcel, held, detail="try again"))
    # then
    row = await message_of(backend, parcel)
    assert state == row.state == MessageState.QUEUED
    assert (row.step, row.number, row.calls, row.backoff_s, row.round.later) == (0, 1, 1, 1.5, ("twilio-main",))
    assert row.wait.due_at == NOW + MINUTE
    assert await kinds_of(backend, parcel) == ["message.queued"]
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (attempt.state, attempt.detail) == (A.FAILED, "try again")


async def test_the_retry_carries_what_was_decided(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))
    (retry,) = await backend.waiting.due(NOW + MINUTE, 10)
    assert (retry.id, retry.step, retry.number, retry.calls, retry.backoff_s) == (parcel.id, 0, 1, 1, 1.5)
    assert (retry.round.later, retry.content, retry.steps) == (("twilio-main",), parcel.content, parcel.steps)


async def test_a_second_attempt_settles_like_the_first(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))
    (retry,) = await backend.waiting.due(NOW + MINUTE, 10)
    # when
    held = await claimed(backend.ledger, retry, "token-2")
    state = await backend.ledger.settle(accepted(retry, held, "token-2", ref="SM2"))
    # then
    row = await message_of(backend, parcel)
    assert state == row.state == MessageState.SENT
    assert (row.number, row.doubled, row.reason) == (2, False, None)
    assert [attempt.state for attempt in await backend.records.attempts(parcel.id)] == [A.FAILED, A.SENT]


async def test_a_rejection_goes_on_to_the_next_step_with_its_wait(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    (following,) = await backend.waiting.due(NOW, 10)
    assert (following.step, following.number, following.channel) == (1, 1, "email")
    assert (await message_of(backend, parcel)).reason == "blocked"


async def test_a_held_doubt_ends_the_plan_and_waits_for_nothing(backend: UnderTest) -> None:
    parcel, _ = await in_doubt(backend.ledger, steps=(SMS, EMAIL))
    row = await message_of(backend, parcel)
    assert (row.state, row.wait, row.reason, row.calls) == (MessageState.IN_DOUBT, None, "lost_answer", 1)
    assert await kinds_of(backend, parcel) == ["message.in_doubt"]


async def test_a_doubt_that_is_sent_again_stays_sending_and_waits_for_its_patience(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    state = await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel)))
    row = await message_of(backend, parcel)
    assert state == row.state == MessageState.SENDING
    assert (row.token, row.wait.due_at) == (None, NOW + 30_000)


async def test_two_attempts_that_may_both_have_been_taken_are_marked_doubled(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel)))
    (again,) = await backend.waiting.due(NOW + 30_000, 10)
    await backend.ledger.settle(accepted(again, await claimed(backend.ledger, again, "token-2"), "token-2"))
    assert (await message_of(backend, parcel)).doubled
    await backend.ledger.observe(receipt(A.FAILED, f"att_{parcel.id[4:]}001"), NOW)
    assert not (await message_of(backend, parcel)).doubled


async def test_the_same_settlement_twice_changes_nothing_more(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    settlement = accepted(parcel, held, ref="SM1")
    assert [await backend.ledger.settle(settlement) for _ in range(3)] == [MessageState.SENT] * 3
    assert await kinds_of(backend, parcel) == ["message.sent"]


# Settle, after the claim was lost


async def test_a_late_acceptance_joins_and_moves_a_doubt_to_sent(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await repaired(backend)
    # when
    state = await backend.ledger.settle(accepted(parcel, held, ref="SM1", at=NOW + 99))
    # then
    row = await message_of(backend, parcel)
    assert state == row.state == MessageState.SENT
    assert row.wait is None
    assert (await backend.records.attempts(parcel.id))[0].state == A.SENT
    assert await backend.waiting.next_due() is None


async def test_a_late_retry_decision_holds_while_only_repair_has_acted_meanwhile(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    await repaired(backend)
    state = await backend.ledger.settle(later(parcel, held, due_at=NOW + 77))
    row = await message_of(backend, parcel)
    assert (state, row.step, row.wait.due_at) == (MessageState.QUEUED, 0, NOW + 77)


async def test_a_late_retry_decision_is_not_applied_once_it_was_claimed_anew(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    await repaired(backend)
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    await claimed(backend.ledger, again, token="another", now=NOW + MINUTE)
    state = await backend.ledger.settle(later(parcel, held, due_at=NOW + 77))
    row = await message_of(backend, parcel)
    assert (state, row.token, row.wait) == (MessageState.SENDING, "another", None)


async def test_late_evidence_of_a_refusal_refutes_the_doubt_and_starts_the_next_step(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL), on_doubt="hold")
    held = await claimed(backend.ledger, parcel)
    await repaired(backend)
    state = await backend.ledger.settle(rejected(parcel, held, at=NOW + 5))
    row = await message_of(backend, parcel)
    assert (state, row.step, row.wait.due_at) == (MessageState.QUEUED, 1, NOW)


async def test_late_evidence_beside_a_newer_open_attempt_leaves_that_one_its_claim(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    first = await claimed(backend.ledger, parcel)
    await repaired(backend)
    (again,) = await backend.waiting.due(NOW + 1, 10)
    second = await claimed(backend.ledger, again, "token-2")
    # when
    assert await backend.ledger.settle(accepted(parcel, first, ref="SM1")) == MessageState.SENDING
    # then
    assert [attempt.state for attempt in await backend.records.attempts(parcel.id)] == [A.SENT, A.SENDING]
    assert await backend.ledger.settle(rejected(again, second, "token-2")) == MessageState.SENT


async def test_a_decision_for_an_older_number_is_fenced_though_the_token_is_the_same(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    first = await claimed(backend.ledger, parcel, "same")
    await repaired(backend)
    (again,) = await backend.waiting.due(NOW + 1, 10)
    await claimed(backend.ledger, again, "same")
    # when
    state = await backend.ledger.settle(later(parcel, first, "same"))
    # then
    assert state == MessageState.SENDING
    assert (await message_of(backend, parcel)).wait is None


async def test_delivered_is_never_taken_back_by_a_late_settlement(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    for settlement in (accepted(parcel, held), later(parcel, held), rejected(parcel, held), lost(parcel, held)):
        assert await backend.ledger.settle(settlement) == MessageState.DELIVERED
    assert (await message_of(backend, parcel)).wait is None


async def test_what_a_settlement_said_survives_a_crash(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger, ref="SM1")
    again = await backend.restart()
    assert await state_of(again, parcel) == MessageState.SENT
    assert (await again.ledger.observe(receipt(A.DELIVERED, ref="SM1"), NOW)).after == MessageState.DELIVERED


async def test_a_decision_to_park_is_a_wait_like_any_other(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    wait = Wait("provider", NOW + MINUTE, key="provider:x", name="x")
    decision = Decision(MessageState.QUEUED, 0, calls=0, round=Round(("x",)), wait=wait)
    await backend.ledger.settle(outcome(parcel, held, A.FAILED, decision))
    (pulled,) = await backend.waiting.pull("provider:x", parcel.priority, {TENANT: 10})
    assert (pulled.number, pulled.round.later) == (1, ("x",))
